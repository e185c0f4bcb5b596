# The service in one image: compiled sources on Node 24, without compilers and tests, not as root.
#   docker build -t tidemark .
#   docker run --rm -p 8080:8080 -p 4242:4242 -v tidemark:/data tidemark

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN npm run build && npm prune --omit=dev \
 # The image brings its own Node.
 && rm -rf node_modules/node

FROM node:24-slim
ENV NODE_ENV=production TIDEMARK_DATA=/data
WORKDIR /app
RUN mkdir /data && chown node:node /data
COPY --from=build /app/package.json /app/LICENSE ./
COPY --from=build /app/bin bin
COPY --from=build /app/dashboard dashboard
COPY --from=build /app/data data
COPY --from=build /app/dist dist
COPY --from=build /app/node_modules node_modules
USER node
VOLUME /data
EXPOSE 8080 4242
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.TIDEMARK_PORT ?? 8080}/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["bin/tidemark"]
# Who may reach it is for the ports that are published to say.
ENV TIDEMARK_TELNET_HOST=0.0.0.0
CMD ["up", "--host", "0.0.0.0"]
