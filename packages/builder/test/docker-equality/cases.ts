/** A repository as people write it, whose image must have the configuration that `docker build` gives it. */
export interface Case {
  name: string;
  dockerfile: string;
  /** Beside the files that every case has: package.json, composer.json, src, public … */
  target?: string;
  buildArgs?: Record<string, string>;
}

/** What every repository holds, so that a COPY finds it. */
export const commonFiles: Readonly<Record<string, string>> = Object.fromEntries(
  [
    ...[
      'package.json',
      'package-lock.json',
      'yarn.lock',
      'pnpm-lock.yaml',
      'bun.lock',
      'next.config.js',
      'server.js',
    ],
    ...[
      'composer.json',
      'composer.lock',
      'artisan',
      'public/index.php',
      'public/index.html',
      'src/main.rs',
      'src/main.ts',
    ],
    ...[
      'requirements.txt',
      'pyproject.toml',
      'manage.py',
      'app/main.py',
      'go.mod',
      'go.sum',
      'main.go',
      'cmd/server/main.go',
    ],
    ...[
      'Cargo.toml',
      'Cargo.lock',
      'Gemfile',
      'Gemfile.lock',
      'config.ru',
      'pom.xml',
      'Caddyfile',
      'redis.conf',
      'init.sql',
    ],
    ...['docker/nginx.conf', 'docker/php.ini', 'docker/entrypoint.sh', 'nginx.conf', 'dist/index.html'],
  ].map(name => [name, `${name}\n`]),
);

export const cases: readonly Case[] = [
  {
    name: 'node: the plain one of the documentation',
    dockerfile: `FROM node:20-alpine
WORKDIR /app
COPY package*.json ./
RUN npm ci --omit=dev
COPY . .
ENV NODE_ENV=production PORT=3000
EXPOSE 3000
USER node
CMD ["node", "server.js"]
`,
  },
  {
    name: 'node: shell form of CMD, health check by wget',
    dockerfile: `FROM node:20-alpine
WORKDIR /usr/src/app
COPY . .
RUN yarn install --frozen-lockfile && yarn build
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \\
  CMD wget --no-verbose --tries=1 --spider http://localhost:3000/health || exit 1
EXPOSE 3000
CMD node dist/server.js
`,
  },
  {
    name: 'next.js: standalone, as its examples have it',
    dockerfile: `FROM node:20-alpine AS base

# Install dependencies only when needed
FROM base AS deps
RUN apk add --no-cache libc6-compat
WORKDIR /app
COPY package.json yarn.lock* package-lock.json* pnpm-lock.yaml* ./
RUN \\
  if [ -f yarn.lock ]; then yarn --frozen-lockfile; \\
  elif [ -f package-lock.json ]; then npm ci; \\
  else echo "Lockfile not found." && exit 1; \\
  fi

FROM base AS builder
WORKDIR /app
COPY --from=deps /app/node_modules ./node_modules
COPY . .
RUN npm run build

FROM base AS runner
WORKDIR /app
ENV NODE_ENV production
ENV NEXT_TELEMETRY_DISABLED 1
RUN addgroup --system --gid 1002 nodejs
RUN adduser --system --uid 1002 nextjs
COPY --from=builder /app/public ./public
COPY --from=builder --chown=nextjs:nodejs /app/.next/standalone ./
COPY --from=builder --chown=nextjs:nodejs /app/.next/static ./.next/static
USER nextjs
EXPOSE 3000
ENV PORT 3000
ENV HOSTNAME "0.0.0.0"
CMD ["node", "server.js"]
`,
  },
  {
    name: 'vite and nginx: two stages',
    dockerfile: `FROM node:22-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN npm run build

FROM nginx:alpine
COPY --from=build /app/dist /usr/share/nginx/html
COPY nginx.conf /etc/nginx/conf.d/default.conf
EXPOSE 80
CMD ["nginx", "-g", "daemon off;"]
`,
  },
  {
    name: 'nginx: nothing but files',
    dockerfile: `FROM nginx:alpine
COPY public /usr/share/nginx/html
`,
  },
  {
    name: 'nginx: unprivileged, labels and a health check',
    dockerfile: `FROM nginx:alpine
LABEL org.opencontainers.image.source="https://git.example/site" \\
      org.opencontainers.image.title='A "site"' maintainer=me
COPY --chown=nginx:nginx public/ /usr/share/nginx/html/
RUN touch /tmp/nginx.pid && chown nginx:nginx /tmp/nginx.pid
USER nginx
EXPOSE 8080/tcp 8443
HEALTHCHECK CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/"]
STOPSIGNAL SIGTERM
`,
  },
  {
    name: 'node: ONBUILD',
    dockerfile: `FROM node:8-onbuild
EXPOSE 8888
`,
    buildArgs: { NODE_ENV: 'production' },
  },
  {
    name: 'pnpm: corepack, cache mount, pruned stage',
    dockerfile: `FROM node:22-slim AS base
ENV PNPM_HOME="/pnpm"
ENV PATH="$PNPM_HOME:$PATH"
RUN corepack enable
COPY . /app
WORKDIR /app

FROM base AS prod-deps
RUN --mount=type=cache,id=pnpm,target=/pnpm/store pnpm install --prod --frozen-lockfile

FROM base AS build
RUN --mount=type=cache,id=pnpm,target=/pnpm/store pnpm install --frozen-lockfile
RUN pnpm run build

FROM base
COPY --from=prod-deps /app/node_modules /app/node_modules
COPY --from=build /app/dist /app/dist
EXPOSE 8000
CMD [ "pnpm", "start" ]
`,
  },
  {
    name: 'bun',
    dockerfile: `FROM oven/bun:1 AS base
WORKDIR /usr/src/app
FROM base AS install
COPY package.json bun.lock /temp/prod/
RUN cd /temp/prod && bun install --frozen-lockfile --production
FROM base AS release
COPY --from=install /temp/prod/node_modules node_modules
COPY . .
USER bun
EXPOSE 3000/tcp
ENTRYPOINT [ "bun", "run", "src/main.ts" ]
`,
  },
  {
    name: 'php-fpm: with a composer stage',
    dockerfile: `FROM composer:2 AS vendor
WORKDIR /app
COPY composer.json composer.lock ./
RUN composer install --no-dev --no-scripts --prefer-dist --no-interaction

FROM php:8.3-fpm-alpine
RUN docker-php-ext-install pdo_mysql opcache
WORKDIR /var/www/html
COPY . .
COPY --from=vendor /app/vendor ./vendor
COPY docker/php.ini $PHP_INI_DIR/conf.d/app.ini
RUN chown -R www-data:www-data /var/www/html
USER www-data
EXPOSE 9000
CMD ["php-fpm"]
`,
  },
  {
    name: 'laravel: composer copied from its image, health by artisan',
    dockerfile: `# Laravel
FROM php:8.3-fpm-alpine AS app
ARG APP_ENV=production
ENV APP_ENV=\${APP_ENV} \\
    APP_DEBUG=false
COPY --from=composer:2 /usr/bin/composer /usr/bin/composer
WORKDIR /var/www
COPY . /var/www
RUN composer install --optimize-autoloader --no-dev
HEALTHCHECK --interval=15s --start-period=30s CMD php artisan health || exit 1
ENTRYPOINT ["docker-php-entrypoint", "docker/entrypoint.sh"]
CMD ["php-fpm", "-F"]
`,
    buildArgs: { APP_ENV: 'staging' },
  },
  {
    name: 'php and apache: document root by ENV',
    dockerfile: `FROM php:8.3-apache
ENV APACHE_DOCUMENT_ROOT=/var/www/html/public
RUN a2enmod rewrite
COPY . /var/www/html/
VOLUME ["/var/www/html/storage"]
`,
  },
  {
    name: 'python: pip and gunicorn',
    dockerfile: `FROM python:3.12-slim
ENV PYTHONDONTWRITEBYTECODE=1
ENV PYTHONUNBUFFERED=1
WORKDIR /code
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
EXPOSE 8000
CMD gunicorn --bind 0.0.0.0:8000 app.wsgi
`,
  },
  {
    name: 'python: a virtual environment from another stage',
    dockerfile: `FROM python:3.12-slim AS builder
RUN python -m venv /opt/venv && mkdir -p /opt/venv/bin
ENV PATH="/opt/venv/bin:$PATH"
COPY requirements.txt .
RUN pip install -r requirements.txt

FROM python:3.12-slim AS final
COPY --from=builder /opt/venv /opt/venv
ENV PATH="/opt/venv/bin:$PATH" VIRTUAL_ENV=/opt/venv
WORKDIR /app
COPY app ./app
HEALTHCHECK --timeout=3s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://localhost:8000')"]
ENTRYPOINT ["uvicorn"]
CMD ["app.main:app", "--host", "0.0.0.0", "--port", "8000"]
`,
  },
  {
    name: 'python: poetry with a development stage as the target',
    dockerfile: `ARG PYTHON=3.12
FROM python:\${PYTHON}-slim AS base
ENV POETRY_VERSION=1.8 \\
    PIP_NO_CACHE_DIR=off
WORKDIR /srv
COPY pyproject.toml ./
RUN pip install "poetry==$POETRY_VERSION"

FROM base AS development
ENV DEBUG=1
CMD ["python", "manage.py", "runserver"]

FROM base AS production
CMD ["gunicorn"]
`,
    target: 'development',
  },
  {
    name: 'go: into scratch',
    dockerfile: `FROM golang:1.23-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=linux go build -ldflags="-s -w" -o /bin/server ./cmd/server

FROM scratch
COPY --from=build /bin/server /server
EXPOSE 8080
USER 65532:65532
ENTRYPOINT ["/server"]
`,
  },
  {
    name: 'go: into alpine, version by an argument',
    dockerfile: `FROM golang:1.23-alpine AS builder
ARG VERSION=dev
WORKDIR /go/src/app
COPY . .
RUN go build -o /app -ldflags "-X main.version=\${VERSION}" .

FROM alpine:3.20
ARG VERSION=dev
LABEL org.opencontainers.image.version=$VERSION
RUN apk --no-cache add ca-certificates tzdata
COPY --from=builder /app /usr/local/bin/app
ENV TZ=Europe/Berlin
CMD ["app", "--config", "/etc/app.yaml"]
`,
    buildArgs: { VERSION: '1.2.3' },
  },
  {
    name: 'rust: a dummy build for its dependencies',
    dockerfile: `FROM rust:1.83 AS builder
WORKDIR /usr/src/app
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src && echo "fn main() {}" > src/main.rs && cargo build --release
COPY src ./src
RUN touch src/main.rs && cargo build --release

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=builder /usr/src/app/target/release/app /usr/local/bin/app
ENV RUST_LOG=info
EXPOSE 8080
CMD ["app"]
`,
  },
  {
    name: 'rust: by the number of a stage, without a name',
    dockerfile: `FROM rust:1.83
WORKDIR /build
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
WORKDIR /srv
COPY --from=0 /build/target/release/app .
ENTRYPOINT ./app
`,
  },
  {
    name: 'ruby: bundler',
    dockerfile: `FROM ruby:3.3-slim
ENV RAILS_ENV="production" \\
    BUNDLE_DEPLOYMENT="1" \\
    BUNDLE_PATH="/usr/local/bundle" \\
    BUNDLE_WITHOUT="development:test"
WORKDIR /rails
COPY Gemfile Gemfile.lock ./
RUN bundle install
COPY . .
RUN useradd rails --create-home --shell /bin/bash
ENTRYPOINT ["/rails/bin/docker-entrypoint"]
EXPOSE 3000
CMD ["./bin/rails", "server"]
`,
  },
  {
    name: 'java: maven and a jar',
    dockerfile: `FROM maven:3-eclipse-temurin-21 AS build
WORKDIR /home/app
COPY pom.xml .
COPY src ./src
RUN mvn -q -f pom.xml clean package

FROM eclipse-temurin:21-jre
VOLUME /tmp
ENV JAVA_OPTS="-Xmx512m -Dspring.profiles.active=prod"
COPY --from=build /home/app/target/app.jar /usr/local/lib/app.jar
EXPOSE 8080
ENTRYPOINT ["sh", "-c", "java $JAVA_OPTS -jar /usr/local/lib/app.jar"]
`,
  },
  {
    name: 'debian: SHELL with pipefail',
    dockerfile: `FROM debian:bookworm-slim
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive
RUN echo hello | cat > /greeting
CMD cat /greeting
`,
  },
  {
    name: 'ubuntu: many of everything',
    dockerfile: `FROM ubuntu:24.04
MAINTAINER Somebody <somebody@example.com>
ARG UID=1234
ENV A=1 B="two words" C='single $A' D=$A-$B E=\\$A
ENV EMPTY=
LABEL a=1 "b c"="d e" multi="line \\
two"
EXPOSE 1000-1002 53/udp
VOLUME /a /b
WORKDIR /srv
WORKDIR data
USER $UID:0
STOPSIGNAL 9
HEALTHCHECK NONE
ENTRYPOINT ["/entry point", "a\\"b"]
`,
  },
  {
    name: 'postgres: with scripts for the first start',
    dockerfile: `FROM postgres:16-alpine
ENV POSTGRES_DB=app
COPY init.sql /docker-entrypoint-initdb.d/
HEALTHCHECK --interval=5s --timeout=3s --retries=10 CMD pg_isready -U postgres -d "$POSTGRES_DB"
`,
  },
  {
    name: 'redis: with a configuration',
    dockerfile: `FROM redis:7-alpine
COPY redis.conf /usr/local/etc/redis/redis.conf
CMD [ "redis-server", "/usr/local/etc/redis/redis.conf" ]
`,
  },
  {
    name: 'caddy: files and a configuration',
    dockerfile: `FROM caddy:2-alpine
COPY Caddyfile /etc/caddy/Caddyfile
COPY public /srv
`,
  },
  {
    name: 'a base image with a health check, which is taken off',
    dockerfile: `FROM watched/app:1
HEALTHCHECK NONE
ENTRYPOINT []
CMD ["work"]
`,
  },
  {
    name: 'a base image with a health check, which is inherited; an ENTRYPOINT that resets CMD',
    dockerfile: `FROM watched/app:1
USER root
ENTRYPOINT ["/other"]
`,
  },
  {
    name: 'what is given on for builds upon it (ONBUILD)',
    dockerfile: `FROM alpine:3.20
WORKDIR /app
ONBUILD COPY . /app
ONBUILD RUN ls /app
CMD ["sh"]
`,
  },
  {
    name: 'arguments that are words of FROM, ENV and LABEL',
    dockerfile: `ARG IMAGE=alpine
ARG TAG=3.20
FROM \${IMAGE}:\${TAG}
ARG TAG
ARG BUILD_DATE=unknown
ENV BASE_TAG=\${TAG:-none} WHEN=$BUILD_DATE NOTHING=\${MISSING:-fallback}
LABEL built="$BUILD_DATE" base=\${TAG}
COPY --chmod=755 docker/entrypoint.sh /entrypoint.sh
ENTRYPOINT ["/entrypoint.sh"]
`,
    buildArgs: { BUILD_DATE: '2026-01-02' },
  },
  {
    name: 'crlf line ends, comments between continued lines, an escape directive',
    dockerfile: [
      '# escape=\\',
      '# a comment',
      'FROM alpine:3.20',
      'ENV ONE=1 \\',
      '# in between',
      '    TWO=2',
      'EXPOSE 80',
      'CMD ["sh", "-c", \\',
      '     "echo $ONE"]',
      '',
    ].join('\r\n'),
  },
  {
    name: 'scratch: nothing but a file',
    dockerfile: `FROM scratch
COPY public/index.html /index.html
`,
  },
];
