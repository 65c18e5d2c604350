"""Video files: what is in them, their frames in, their frames out. The only folder that knows PyAV."""
