# The images of `cargo xtask image`, for those who have a container engine:
#
#   docker build --target nsq -t nsq-rs/nsq:0.1.0 .
#   docker build --target nsq-operator -t nsq-rs/nsq-operator:0.1.0 .
FROM rust:1.95-alpine AS build
RUN apk add --no-cache ca-certificates musl-dev
WORKDIR /nsq
COPY . .
RUN RUSTFLAGS="-C strip=symbols" cargo build --release --locked -p nsq-cli -p nsq-operator
# The one file, and the names that it is called by.
RUN mkdir /names && cp target/release/nsq /names/ && cd /names && \
    for name in nsqd nsqlookupd nsqadmin nsq-operator to_nsq nsq_tail nsq_stat nsq_to_file nsq_to_http nsq_to_nsq; do \
        ln -s nsq "$name"; \
    done

FROM scratch AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
ENV PATH=/usr/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532

FROM base AS nsq-operator
COPY --from=build /nsq/target/release/nsq-operator /usr/bin/
ENTRYPOINT ["/usr/bin/nsq-operator"]

FROM base AS nsq
COPY --from=build /names/ /usr/bin/
ENTRYPOINT ["/usr/bin/nsqd"]
