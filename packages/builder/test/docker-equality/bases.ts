/**
 * Official images as Dockerfiles name them, with the configuration that they have, over a busybox instead of a distribution.
 * Programs that would ask the internet are stubs (see `stubs`), so that the Dockerfiles in cases.ts are as people write them.
 */
export interface OfficialImage {
  name: string;
  /** Instructions after `FROM scratch` and the files. */
  config: string;
}

const path = 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export const officialImages: readonly OfficialImage[] = [
  {
    name: 'node:20-alpine',
    config: `${path}\nENV NODE_VERSION=20.18.1\nENV YARN_VERSION=1.22.22\nENTRYPOINT ["docker-entrypoint.sh"]\nCMD ["node"]`,
  },
  {
    name: 'node:22-slim',
    config: `${path}\nENV NODE_VERSION=22.12.0\nENV YARN_VERSION=1.22.22\nENTRYPOINT ["docker-entrypoint.sh"]\nCMD ["node"]`,
  },
  {
    name: 'node:8-onbuild',
    config: `${path}\nENV NODE_VERSION=8.11.2\nRUN mkdir -p /usr/src/app\nWORKDIR /usr/src/app\nONBUILD ARG NODE_ENV\nONBUILD ENV NODE_ENV $NODE_ENV\nONBUILD COPY package.json /usr/src/app/\nONBUILD RUN npm install && npm cache clean --force\nONBUILD COPY . /usr/src/app\nCMD ["npm","start"]`,
  },
  {
    name: 'nginx:alpine',
    config: `LABEL maintainer="NGINX Docker Maintainers <docker-maint@nginx.com>"\n${path}\nENV NGINX_VERSION=1.27.3\nENV PKG_RELEASE=1\nENTRYPOINT ["/docker-entrypoint.sh"]\nEXPOSE 80\nSTOPSIGNAL SIGQUIT\nCMD ["nginx","-g","daemon off;"]`,
  },
  {
    name: 'php:8.3-fpm-alpine',
    config: `${path}\nENV PHPIZE_DEPS="autoconf dpkg-dev dpkg file g++ gcc libc-dev make pkgconf re2c"\nENV PHP_INI_DIR=/usr/local/etc/php\nENV PHP_VERSION=8.3.14\nENTRYPOINT ["docker-php-entrypoint"]\nWORKDIR /var/www/html\nSTOPSIGNAL SIGQUIT\nEXPOSE 9000\nCMD ["php-fpm"]`,
  },
  {
    name: 'php:8.3-apache',
    config: `${path}\nENV PHP_INI_DIR=/usr/local/etc/php\nENV APACHE_CONFDIR=/etc/apache2\nENV APACHE_ENVVARS=/etc/apache2/envvars\nENTRYPOINT ["docker-php-entrypoint"]\nSTOPSIGNAL SIGWINCH\nWORKDIR /var/www/html\nEXPOSE 80\nCMD ["apache2-foreground"]`,
  },
  {
    name: 'composer:2',
    config: `${path}\nENV COMPOSER_ALLOW_SUPERUSER=1\nENV COMPOSER_HOME=/tmp\nENV COMPOSER_VERSION=2.8.4\nWORKDIR /app\nENTRYPOINT ["/docker-entrypoint.sh"]\nCMD ["composer"]`,
  },
  {
    name: 'python:3.12-slim',
    config: `${path}\nENV LANG=C.UTF-8\nENV PYTHON_VERSION=3.12.8\nCMD ["python3"]`,
  },
  {
    name: 'golang:1.23-alpine',
    config: `ENV PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nENV GOLANG_VERSION=1.23.4\nENV GOTOOLCHAIN=local\nENV GOPATH=/go\nWORKDIR /go`,
  },
  {
    name: 'rust:1.83',
    config: `ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin RUST_VERSION=1.83.0`,
  },
  {
    name: 'ruby:3.3-slim',
    config: `${path}\nENV LANG=C.UTF-8\nENV RUBY_VERSION=3.3.6\nENV GEM_HOME=/usr/local/bundle\nENV BUNDLE_SILENCE_ROOT_WARNING=1 BUNDLE_APP_CONFIG="$GEM_HOME"\nENV PATH=$GEM_HOME/bin:$PATH\nCMD ["irb"]`,
  },
  {
    name: 'eclipse-temurin:21-jre',
    config: `ENV JAVA_HOME=/opt/java/openjdk\nENV PATH=/opt/java/openjdk/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nENV LANG=en_US.UTF-8 LANGUAGE=en_US:en LC_ALL=en_US.UTF-8\nENTRYPOINT ["/__cacert_entrypoint.sh"]`,
  },
  {
    name: 'maven:3-eclipse-temurin-21',
    config: `${path}\nENV MAVEN_HOME=/usr/share/maven\nENV MAVEN_CONFIG=/root/.m2\nENTRYPOINT ["/usr/local/bin/mvn-entrypoint.sh"]\nCMD ["mvn"]`,
  },
  { name: 'alpine:3.20', config: `${path}\nCMD ["/bin/sh"]` },
  { name: 'debian:bookworm-slim', config: `${path}\nCMD ["bash"]` },
  {
    name: 'ubuntu:24.04',
    config: `LABEL org.opencontainers.image.version=24.04\n${path}\nCMD ["/bin/bash"]`,
  },
  {
    name: 'postgres:16-alpine',
    config: `${path}\nENV LANG=en_US.utf8\nENV PGDATA=/var/lib/postgresql/data\nVOLUME /var/lib/postgresql/data\nENTRYPOINT ["docker-entrypoint.sh"]\nSTOPSIGNAL SIGINT\nEXPOSE 5432\nCMD ["postgres"]`,
  },
  {
    name: 'redis:7-alpine',
    config: `${path}\nENV REDIS_VERSION=7.4.1\nVOLUME /data\nWORKDIR /data\nENTRYPOINT ["docker-entrypoint.sh"]\nEXPOSE 6379\nCMD ["redis-server"]`,
  },
  {
    name: 'caddy:2-alpine',
    config: `${path}\nENV XDG_CONFIG_HOME=/config\nENV XDG_DATA_HOME=/data\nLABEL org.opencontainers.image.title=Caddy\nEXPOSE 80 443 443/udp 2019\nWORKDIR /srv\nCMD ["caddy","run","--config","/etc/caddy/Caddyfile","--adapter","caddyfile"]`,
  },
  {
    name: 'oven/bun:1',
    config: `${path}\nENV BUN_RUNTIME_TRANSPILER_CACHE_PATH=0\nWORKDIR /home/bun/app\nENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]\nCMD ["/usr/local/bin/bun"]`,
  },
  {
    name: 'watched/app:1',
    config: `${path}\nWORKDIR /app\nUSER node\nHEALTHCHECK --interval=10s --timeout=2s --retries=5 CMD wget -qO- http://127.0.0.1/ || exit 1\nENTRYPOINT ["/entry"]\nCMD ["serve"]`,
  },
];

const applets = [
  ...[
    'sh',
    'ash',
    'mkdir',
    'cp',
    'rm',
    'ls',
    'cat',
    'echo',
    'chown',
    'chmod',
    'ln',
    'mv',
    'touch',
    'sed',
    'grep',
    'find',
  ],
  ...['true', 'false', 'test', 'env', 'id', 'head', 'tail', 'tar', 'date', 'printf', 'dirname', 'rmdir'],
];

/** Each stands for a program that would reach the internet, or compile something: it makes what later steps copy. */
const stubs: Record<string, string> = {
  ...Object.fromEntries(
    [
      ...['npm', 'npx', 'yarn', 'pnpm', 'corepack', 'bun'],
      ...[
        'composer',
        'php',
        'docker-php-ext-install',
        'docker-php-ext-configure',
        'pecl',
        'a2enmod',
        'bundle',
        'gem',
      ],
      ...[
        'pip',
        'pip3',
        'python',
        'python3',
        'poetry',
        'uv',
        'apt-get',
        'apk',
        'curl',
        'wget',
        'useradd',
        'groupadd',
        'mvn',
      ],
    ].map(name => [
      name,
      'mkdir -p node_modules dist build public/build .next/standalone .next/static vendor target .output 2>/dev/null; touch target/app.jar dist/server.js 2>/dev/null; exit 0',
    ]),
  ),
  go: 'out=; while [ $# -gt 0 ]; do if [ "$1" = -o ]; then out=$2; fi; shift; done; if [ -n "$out" ]; then mkdir -p "$(dirname "$out")"; echo x >"$out"; fi; exit 0',
  addgroup: 'for name; do :; done; echo "$name:x:1002:" >>/etc/group',
  adduser: 'for name; do :; done; echo "$name:x:1002:1002::/:/bin/sh" >>/etc/passwd',
  cargo: 'mkdir -p target/release src; echo x >target/release/app; exit 0',
};

/** A line of shell that makes the files of these images in `$1`, from a static busybox. */
export function filesScript(): string {
  const stub = ([name, body]: [string, string]) =>
    `printf '%s\\n' '#!/bin/sh' '${body.replaceAll("'", "'\\''")}' >"$1/usr/local/bin/${name}"; chmod 755 "$1/usr/local/bin/${name}"`;
  return [
    'set -e; mkdir -p "$1/bin" "$1/usr/local/bin" "$1/etc" "$1/tmp" "$1/root" "$1/var/www/html" "$1/usr/local/etc/php"',
    'mkdir -p "$1/usr/local/bundle" "$1/usr/share/nginx/html" "$1/etc/nginx/conf.d" "$1/usr/local/cargo/bin"',
    'cp /bin/busybox "$1/bin/busybox"',
    ...applets.map(name => `ln -s busybox "$1/bin/${name}"`),
    `printf '%s\\n' '#!/bin/sh' 'exec /bin/sh "$@"' >"$1/bin/bash"; chmod 755 "$1/bin/bash"`,
    `printf '%s\\n' root:x:0:0::/root:/bin/sh node:x:1000:1000::/home/node:/bin/sh www-data:x:82:82::/var/www:/bin/sh nginx:x:101:101::/:/bin/sh nobody:x:65534:65534::/:/bin/sh bun:x:1001:1001::/:/bin/sh >"$1/etc/passwd"`,
    `printf '%s\\n' root:x:0: node:x:1000: www-data:x:82: nginx:x:101: nobody:x:65534: bun:x:1001: >"$1/etc/group"`,
    ...Object.entries(stubs).map(stub),
    'cp "$1/usr/local/bin/composer" "$1/bin/composer"; mkdir -p "$1/usr/bin"; cp "$1/usr/local/bin/composer" "$1/usr/bin/composer"',
  ].join('\n');
}
