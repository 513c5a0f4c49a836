ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
COPY nats-server /usr/local/bin/nats-server
EXPOSE 4222 8222
ENTRYPOINT ["nats-server"]
