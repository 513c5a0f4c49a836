# DynamoDB Local in the layout of the public `amazon/dynamodb-local` image.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
# Java's packages fail to install where a slim image has no manual pages.
RUN mkdir -p /usr/share/man/man1 \
  && apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openjdk-17-jre-headless \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /home/dynamodblocal
COPY lib/ DynamoDBLocal_lib/
RUN mv DynamoDBLocal_lib/DynamoDBLocal-*.jar DynamoDBLocal.jar
EXPOSE 8000
ENTRYPOINT ["java"]
