# The images of `cargo xtask image`, for those who have a container engine:
#
#   docker build --target nsq -t nsq-rs/nsq:0.1.0 .
#   docker build --target nsq-operator -t nsq-rs/nsq-operator:0.1.0 .
FROM rust:1.95-alpine AS build
RUN apk add --no-cache ca-certificates musl-dev
WORKDIR /nsq
COPY . .
RUN RUSTFLAGS="-C strip=symbols" cargo build --release --locked \
    -p nsqd -p nsqlookupd -p nsqadmin -p nsq-tools -p nsq-operator

FROM scratch AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
ENV PATH=/usr/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532

FROM base AS nsq-operator
COPY --from=build /nsq/target/release/nsq-operator /usr/bin/
ENTRYPOINT ["/usr/bin/nsq-operator"]

FROM base AS nsq
COPY --from=build /nsq/target/release/nsqd /nsq/target/release/nsqlookupd /nsq/target/release/nsqadmin \
    /nsq/target/release/to_nsq /nsq/target/release/nsq_tail /nsq/target/release/nsq_stat \
    /nsq/target/release/nsq_to_file /nsq/target/release/nsq_to_http /nsq/target/release/nsq_to_nsq /usr/bin/
ENTRYPOINT ["/usr/bin/nsqd"]
