# Build: docker build -t corral .
# The base is pinned to a Node release; give another with --build-arg NODE=22.x.y-bookworm-slim.
ARG NODE=22.21.1-bookworm-slim

FROM node:${NODE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY install ./install
# The pinned Bun comes as a package; it needs no install script.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY bunfig.toml ./
COPY bin ./bin
COPY src ./src
# /data: keys, models, traces and the audit log; a named volume takes its owner from here.
RUN find src -name '*.test.ts' -delete && mkdir /data

FROM node:${NODE}
ENV NODE_ENV=production CORRAL_HOME=/data
WORKDIR /app
COPY --from=build /app ./
COPY --from=build --chown=1000:1000 /data /data
# The user `node`; Kubernetes checks `runAsNonRoot` by number.
USER 1000:1000
VOLUME /data
EXPOSE 8321
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["node", "/app/bin/corral.js", "health"]
ENTRYPOINT ["node", "/app/bin/corral.js"]
CMD ["run", "starter"]
