# SPDX-License-Identifier: Apache-2.0
#
# coupond in an image: the program, the libraries it needs, a shell; as a user of its own, with a root
# filesystem that may be read-only. Alone it is one server with its journal in /var/lib/coupond:
#
#     docker build -t coupond .
#     docker run --read-only -p 80:8080 -v coupond:/var/lib/coupond coupond
#
# With docker-compose.yml it is every part of the cluster mode. Settings: COUPOND_… in the environment.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
COPY dev/setup.sh dev/
# What a build needs is said once, in dev/setup.sh.
# hadolint ignore=DL3008,SC2086
RUN . dev/setup.sh && apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $BUILD_PACKAGES
COPY . .
RUN meson setup /build -Dtests=false --strip --prefix=/usr && \
    ninja -C /build coupond && \
    strip --strip-unneeded /build/coupond

FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libhiredis0.14 libjansson4 libjwt0 libmariadb3 librdkafka1 libsqlite3-0 libssl3 libuv1 && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* && \
    groupadd --gid 10001 coupond && \
    useradd --uid 10001 --gid 10001 --home-dir /var/lib/coupond --no-create-home --shell /usr/sbin/nologin coupond && \
    install -d -o coupond -g coupond -m 700 /var/lib/coupond
COPY --from=build /build/coupond /usr/bin/
COPY deploy/containers/start-coupond deploy/containers/healthy /usr/bin/
# A library that lacks is noticed here, and not at the first start.
RUN coupond --version

USER 10001:10001
WORKDIR /var/lib/coupond
VOLUME /var/lib/coupond
ENV COUPOND_DATA_DIR=/var/lib/coupond COUPOND_LISTEN=0.0.0.0:8080
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s CMD ["healthy", "8080", "/readyz"]
ENTRYPOINT ["start-coupond"]
CMD ["serve"]
