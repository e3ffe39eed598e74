# The image of Janus: one static program and nothing else.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .
#
# Where no registry is reached, scripts/image builds the last stage from a program that cargo has built there, which
# takes the place of the stage `build`. Each platform is built on a machine of its kind.

# The Rust of rust-toolchain.toml. Renovate adds the digest.
ARG BUILD_IMAGE=rust:1.95.0-slim-bookworm
ARG BASE_IMAGE=scratch

# checkov:skip=CKV_DOCKER_7: the tag stands in BUILD_IMAGE, which checkov does not look into
FROM ${BUILD_IMAGE} AS chef
RUN cargo install --locked cargo-chef@0.1.78 cargo-auditable@0.7.7
WORKDIR /src

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path /recipe.json

FROM chef AS compile
# Linked with glibc itself. The processor is the baseline of its architecture, so that the image runs on every node.
ENV RUSTFLAGS="-C target-feature=+crt-static"
COPY --from=plan /recipe.json /recipe.json
# A layer that only changes with the dependencies. The target is named, so that the flags are not for build scripts.
RUN cargo chef cook --recipe-path /recipe.json --locked --release --target "$(rustc --print host-tuple)"
COPY . .
ARG REVISION=""
# The list of crates is put into the program, where scanners find it.
RUN JANUS_GIT_COMMIT=$(printf %.12s "$REVISION") \
    cargo auditable build --locked --release --target "$(rustc --print host-tuple)" && \
    install -D "target/$(rustc --print host-tuple)/release/janus" /out/janus

FROM scratch AS build
COPY --from=compile /out/janus /janus

FROM ${BASE_IMAGE} AS janus
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="Janus" \
      org.opencontainers.image.description="Publishes a read-mostly JSON collection as an HTTP API" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /janus /janus
# By number: Kubernetes cannot tell that a name is not root.
USER 65532:65532
ENV JANUS_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/janus", "health"]
ENTRYPOINT ["/janus"]
