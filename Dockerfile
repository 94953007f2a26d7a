# The operator as one static binary in an empty image: no shell, no libc, no package manager.
#
#   docker build --tag upstream-params-operator .
#
# The build stage needs cargo's registry and nothing else of the network. tests/image/run does the same steps without a
# container engine, and starts the result.

# The only image that goes in. A release wants it by its digest, as in rust:1.95-slim-bookworm@sha256:...
# (docs/release.md says how to look it up), and is refused without.
# Debian 12's glibc (2.36) resolves names in a static binary without loading anything, which older ones do not.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# What `version` says that it was built from.
ARG REVISION=
# crt-static needs a target by name, or it would apply to procedural macros too, which cannot be static.
RUN --mount=type=cache,id=cargo-registry,target=/usr/local/cargo/registry \
    target="$(rustc --version --verbose | sed -n 's/^host: //p')" \
 && UPO_COMMIT="$REVISION" RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --locked --profile dist --no-default-features --bin upstream-params-operator --target "$target" \
 && cp "target/$target/dist/upstream-params-operator" /upstream-params-operator

FROM scratch
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
ARG SOURCE=https://github.com/example/upstream-params-operator
LABEL org.opencontainers.image.title="upstream-params-operator" \
      org.opencontainers.image.description="Manages the upstream parameters of Auth0 connections from Kubernetes, and nothing else of them" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# The roots that Auth0's certificates are verified with.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /upstream-params-operator /upstream-params-operator
# By number, so that a kubelet can see that it is not root. An empty image would start as root otherwise.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/upstream-params-operator"]
CMD ["controller"]
