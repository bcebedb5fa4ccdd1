# The toolchain of requirements.lock and the system libraries that Vivado needs. The project is not in the image: it is
# mounted at /workspace, the store at /var/cache/finnmake, and Vivado, where a flow needs it, at its own path.
#
# Made from templates/container/Dockerfile.j2 and [tool.finnmake] in pyproject.toml by `doit image --update`: edit those.
# `doit image` builds it. Built by hand, twice, from the same base and package archive, it is the same image:
#
#   podman build --timestamp 1735689600 --tag finnmake .
#
# `doit`, docker/run, docker/compose.yaml and the dev container all start its entry point, docker/entrypoint.sh.
#
# settings: f300baf62b3a1f27167aef22772d2ad5e70d259928f83ddb7bb586bbac595e25

ARG BASE=python:3.11.11-slim-bookworm@sha256:081075da77b2b55c23c088251026fb69a7b2bf92471e491ff5fd75c192fd38e5

FROM ${BASE} AS system
# Fixed for what a build writes: times of files, the order of sets in bytecode.
ARG SOURCE_DATE_EPOCH=1735689600
ARG PYTHONHASHSEED=0
ARG DEBIAN_FRONTEND=noninteractive
# tini:
#   the first process; it ends the others on a signal, and collects those that ended
# g++, make:
#   FINN compiles C++ models of layers, and drivers of simulations
# libc6-dev-i386:
#   C headers for 32 bit, which C simulation and synthesis of Vitis HLS include
# unzip:
#   FINN and Vivado unpack archives of boards, IP cores and hardware descriptions
# procps:
#   `ps`, for the scripts that start Vivado's runs and for editors in a dev container
# libncurses5, libtinfo5:
#   Vivado and Vitis are linked with ncurses 5
# libncurses6, libtinfo6:
#   tools of the releases of 2024 may ask for ncurses 6
# libx11-6, libxext6, libxi6, libxrender1, libxtst6:
#   Vivado loads the libraries of its windows in batch mode too
# fontconfig, libfreetype6:
#   Vivado's Java asks for fonts when it starts
# locales:
#   Vivado sets the locale en_US.UTF-8, and stops where there is none
# libudev1:
#   Vivado's licence library (FlexLM) lists devices by it; see docker/entrypoint.sh
# Python comes with the base; a base that has none, or none that makes environments, gets Debian's.
# The locale is a folder, not an entry of the archive, whose bytes depend on its history.
RUN set -eu && \
    python="$(python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3 python3-venv)" && \
    apt-get update --quiet && \
    apt-get install --quiet --yes --no-install-recommends $python \
        fontconfig \
        g++ \
        libc6-dev-i386 \
        libfreetype6 \
        libncurses5 \
        libncurses6 \
        libtinfo5 \
        libtinfo6 \
        libudev1 \
        libx11-6 \
        libxext6 \
        libxi6 \
        libxrender1 \
        libxtst6 \
        locales \
        make \
        procps \
        tini \
        unzip && \
    localedef --no-archive --inputfile=en_US --charmap=UTF-8 en_US.UTF-8 && \
    find /usr -name __pycache__ -prune -exec rm -rf {} + && \
    library="$(python3 -I -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" && \
    python3 -B -m compileall -qq -f -j1 --invalidation-mode unchecked-hash \
        -x '/(test|tests|idlelib|lib2to3|site-packages|dist-packages)/' "$library" && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/fontconfig/* \
        /var/cache/ldconfig/aux-cache /var/lib/dpkg/*-old && \
    find /var/log -type f -delete && \
    useradd --uid 1000 --user-group --create-home --no-log-init --shell /bin/bash finnmake && \
    install --directory --owner=finnmake --group=finnmake /workspace /var/cache/finnmake

FROM system AS packages
COPY requirements.lock /tmp/
# As doitw does: wheels only, each with a hash of the lock file. The packages' test suites (100 MB) stay out.
# Bytecode is compiled in one process, in order, and never compared with the time of its source: both would differ
# from build to build.
RUN set -eu && \
    python3 -I -m venv --prompt finnmake /opt/finnmake && \
    /opt/finnmake/bin/python -I -m pip install --quiet --no-input --no-cache-dir --disable-pip-version-check \
        --progress-bar=off --require-hashes --no-deps --only-binary=:all: --no-compile \
        --requirement=/tmp/requirements.lock && \
    site="$(/opt/finnmake/bin/python -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" && \
    echo /workspace/src >"$site/finnmake.pth" && \
    find "$site" -type d \( -name tests -o -path "$site/onnx/test" -o -path "$site/onnx/backend/test" \) \
        -prune -exec rm -rf {} + && \
    find /opt/finnmake -name __pycache__ -prune -exec rm -rf {} + && \
    { /opt/finnmake/bin/python -B -m compileall -qq -f -j1 --invalidation-mode unchecked-hash "$site" || :; }

# What is in the image, and from what it was made: `doit` compares it with the project.
FROM system AS description
ARG BASE
COPY Dockerfile requirements.lock /opt/finnmake/
COPY docker/describe.py docker/doit docker/entrypoint.sh /opt/finnmake/docker/
RUN set -eu && \
    chmod 755 /opt/finnmake /opt/finnmake/docker /opt/finnmake/docker/* && \
    chmod 644 /opt/finnmake/Dockerfile /opt/finnmake/requirements.lock && \
    python3 -I /opt/finnmake/docker/describe.py /opt/finnmake "$BASE" >/opt/finnmake/image.json

FROM system
ARG BASE
LABEL org.opencontainers.image.title="finnmake" \
      org.opencontainers.image.description="The toolchain of finnmake: FINN, and the libraries that Vivado needs" \
      org.opencontainers.image.licenses="BSD-3-Clause" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=packages /opt/finnmake /opt/finnmake
COPY --from=description /opt/finnmake /opt/finnmake
# Build folders in the store hold their own absolute path, so the store has one path on every machine.
# In a container doit runs the steps itself, and ./doitw uses the image's packages instead of a .venv.
ENV FINNMAKE_RUNTIME=local \
    FINNMAKE_STORE=/var/cache/finnmake \
    FINNMAKE_VENV=/opt/finnmake \
    VIRTUAL_ENV=/opt/finnmake \
    PYTHONNOUSERSITE=1 \
    LANG=C.UTF-8 \
    PATH=/opt/finnmake/docker:/opt/finnmake/bin:${PATH}
USER finnmake
WORKDIR /workspace
# Kept by docker; podman's own image format has no place for it.
HEALTHCHECK --interval=5m --timeout=10s CMD ["test", "-w", "/var/cache/finnmake"]
ENTRYPOINT ["tini", "--", "entrypoint.sh"]
CMD ["doit", "list"]
