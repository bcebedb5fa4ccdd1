# The toolchain of requirements.lock and doit on PATH, to build in /workspace:
#
#   docker build -t finnmake .
#   docker run --rm -v "$PWD":/workspace -v finnmake-store:/var/cache/finnmake finnmake doit build:config_001
#
# /workspace holds this project: the copy in the image, or a checkout mounted over it (finnmake is installed editable
# from there, so the code that runs is always the workspace's). To build as yourself, add --user "$(id -u):$(id -g)"
# and give the store a folder of your own instead of a volume.

ARG BASE=python:3.11.11-slim-bookworm@sha256:081075da77b2b55c23c088251026fb69a7b2bf92471e491ff5fd75c192fd38e5

FROM ${BASE} AS packages
COPY requirements.lock /tmp/
# As doitw does: wheels only, each with a hash of the lock file. This layer changes only with the lock file.
RUN python -m venv /opt/finnmake \
 && /opt/finnmake/bin/python -I -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --no-deps --only-binary=:all: --compile --requirement /tmp/requirements.lock
WORKDIR /workspace
COPY pyproject.toml README.md ./
COPY src src
RUN /opt/finnmake/bin/python -I -m pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --no-build-isolation --editable /workspace

FROM ${BASE}
COPY --from=packages /opt/finnmake /opt/finnmake
COPY --chmod=755 docker/doit docker/entrypoint.sh /usr/local/finnmake/bin/
# Build folders in the store hold their own absolute path, so the store has one path on every machine.
RUN useradd --create-home --uid 1000 finnmake \
 && install --directory --owner=finnmake --group=finnmake /var/cache/finnmake /workspace
# FINNMAKE_VENV: ./doitw uses the image's packages, and leaves the .venv of a mounted checkout alone.
ENV FINNMAKE_STORE=/var/cache/finnmake \
    FINNMAKE_VENV=/opt/finnmake \
    PYTHONNOUSERSITE=1 \
    PATH=/usr/local/finnmake/bin:/opt/finnmake/bin:${PATH}
COPY --chown=finnmake:finnmake . /workspace
COPY requirements.lock /opt/finnmake/requirements.lock
USER finnmake
WORKDIR /workspace
ENTRYPOINT ["entrypoint.sh"]
CMD ["doit", "list"]
