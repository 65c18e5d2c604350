"""`flashvsr ui`: a page in the browser. Needs the extra `flashvsr-client[ui]`.

    serve.py       the process: address, page, end
    guard.py       what a browser may ask for, and what it may load
    page.py        what is where; page.css: how it looks; view.py: the pieces of HTML
    actions.py     what the page's buttons do
    visits.py      one for each open page: its video, its job, its result
    runner.py      jobs, one thread each; line.py: whose turn it is; meter.py: how far they are
    engines.py     which client runs a job: one server, or the one engine in this process
    comparison.py  a frame before and after
    store.py       temporary files, which go with the visit, with time, and with the process

Only page.py, actions.py and serve.py know Gradio.
"""
