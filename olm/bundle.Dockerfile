# The bundle as an image. Made by `UPDATE_EXPECT=1 cargo test --test it packaging::olm`. Do not edit.
#
#   docker build --file olm/bundle.Dockerfile --tag upstream-params-operator-bundle:0.1.0 olm
FROM scratch
LABEL operators.operatorframework.io.bundle.channel.default.v1=preview
LABEL operators.operatorframework.io.bundle.channels.v1=preview
LABEL operators.operatorframework.io.bundle.manifests.v1=manifests/
LABEL operators.operatorframework.io.bundle.mediatype.v1=registry+v1
LABEL operators.operatorframework.io.bundle.metadata.v1=metadata/
LABEL operators.operatorframework.io.bundle.package.v1=upstream-params-operator
COPY manifests /manifests/
COPY metadata /metadata/
