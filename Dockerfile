# One image for every process; the arguments say which (docs/install.md, "The image"). Node 24 runs the TypeScript as it
# is. The result has Node, its libraries, the code, and no shell or package manager. It builds with and without BuildKit:
#
#   docker build -t edge-migration:0.1.0 .
#   docker build -t edge-migration:0.1.0 --build-arg NODE_IMAGE=mirror/node:24-slim --build-arg NPM_CONFIG_REGISTRY=… .
#
# BUILD_IMAGE is where `npm ci` runs, for a NODE_IMAGE that has no npm or does not trust the registry's certificate.
# By digest: a tag may point elsewhere tomorrow. The tag is for people, and for tools that propose updates.
ARG NODE_IMAGE=node:24.21.0-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6
ARG BUILD_IMAGE=${NODE_IMAGE}

FROM ${BUILD_IMAGE} AS dependencies
# Of npm itself; its default when it is not given.
ARG NPM_CONFIG_REGISTRY
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY cli/package.json cli/
COPY console/package.json console/
COPY console/page/package.json console/page/
COPY contract/package.json contract/
COPY identity/package.json identity/
COPY kubernetes/package.json kubernetes/
COPY operator/package.json operator/
COPY replay-sidecar/package.json replay-sidecar/
COPY runtime/package.json runtime/
COPY test/package.json test/
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
      --workspace @edge-migration/console --workspace contract --workspace identity --workspace kubernetes \
      --workspace operator --workspace replay-sidecar --workspace runtime
# Half of it is for compilers and debuggers, or for other runtimes than Node.
RUN find node_modules -type f \( -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.map' -o -name '*.md' \) \
      -delete && rm -rf node_modules/.bin node_modules/@types node_modules/bare-*

FROM ${BUILD_IMAGE} AS console
ARG NPM_CONFIG_REGISTRY
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY cli/package.json cli/
COPY console/package.json console/
COPY console/page/package.json console/page/
COPY contract/package.json contract/
COPY identity/package.json identity/
COPY kubernetes/package.json kubernetes/
COPY operator/package.json operator/
COPY replay-sidecar/package.json replay-sidecar/
COPY runtime/package.json runtime/
COPY test/package.json test/
RUN npm ci --ignore-scripts --no-audit --no-fund --workspace console/page
COPY console console
# Of the page the image has what browsers get.
RUN node console/page/build.ts && rm -rf console/page

FROM ${NODE_IMAGE} AS node
RUN mkdir -p /root-fs/empty && \
    for file in /usr/local/bin/node $(ldd /usr/local/bin/node | grep -o '/[^ ]*'); do \
      mkdir -p "/root-fs$(dirname "$file")" && cp -L "$file" "/root-fs$file" || exit 1; \
    done

FROM scratch
COPY --from=node /root-fs/ /
COPY --chown=65532:65532 --from=node /root-fs/empty /var/cache/node
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=console /app/console console
COPY contract contract
COPY identity identity
COPY kubernetes kubernetes
COPY operator operator
COPY replay-sidecar replay-sidecar
COPY runtime runtime
COPY bin bin
COPY scripts/warm-compile-cache.mjs scripts/
# Node keeps what it compiled for each user apart, so the one who will run it must be the one who fills the cache. With
# it, processes start sooner and in less memory. The root file system is read-only when it runs, and the cache complete.
ENV PATH=/usr/local/bin NODE_ENV=production NODE_COMPILE_CACHE=/var/cache/node
USER 65532:65532
RUN ["node", "scripts/warm-compile-cache.mjs"]
# What was compiled holds for the same flags only: these are the sidecar's.
RUN ["node", "--no-maglev", "--expose-gc", "scripts/warm-compile-cache.mjs", "{runtime,contract,replay-sidecar/capture}"]

ENTRYPOINT ["node"]
CMD ["bin/operator.ts"]
