# The server in a container; docker-compose.yml starts it. Messages are opened by clients alone, so the kernels in Rust
# are not needed here, and the image is the same for a Raspberry Pi.

FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY . .
ENV MOBIUM_BUILD=pure PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/mobium && /opt/mobium/bin/pip install . ./server_app

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="mobium-server" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /opt/mobium /opt/mobium
# The first user of most machines has the number 1000, so a folder `data` that one made oneself can be written.
RUN mkdir /data && chown 1000:1000 /data && chmod 700 /data
ENV PATH=/opt/mobium/bin:$PATH PYTHONUNBUFFERED=1 \
    SC_HOST=0.0.0.0 SC_PORT=8443 SC_DATABASE_URL=sqlite:///data/mobium.db
WORKDIR /data
USER 1000:1000
EXPOSE 8443
HEALTHCHECK --interval=60s --timeout=10s --start-period=10s --retries=3 CMD ["mobium-server", "health"]
ENTRYPOINT ["mobium-server"]
