"""`python -m flashvsr_client.demo`: a clip through a real server, with pictures and numbers to judge it by.

Needs the extra `flashvsr-client[demo]` and an installed `flashvsr-serve`.
"""
