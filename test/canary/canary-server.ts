import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from '../../src/testing/certificates.ts'
import { redis, type TestEngine } from '../../src/testing/engines.ts'
import type { MockUpstream } from '../../src/testing/index.ts'
import type { PostgresBackend, SqliteBackend } from '../../src/storage/config.ts'
import { startIssuer, type Issuer } from '../auth/issuer.ts'
import { corral, start } from '../cli/corral.ts'
import { type EchoingCollector, echoingCollector } from './collector.ts'
import { canary, canaryOf, canaryOfPem, type Canary } from './secrets.ts'
import { echoingIdentityService, echoingUpstream } from './upstream.ts'

/** Where secrets of the operator stand: in the file, in the environment, in files. */
function operatorsSecrets() {
  const certificate = makeCertificate({ name: 'localhost', authority: true })
  return {
    certificate,
    keyInFile: canary('a provider’s key in the file'),
    keyInEnvironment: canary('a provider’s key in the environment'),
    azureKey: canary('a key that goes in a header of its own'),
    extraHeader: canary('an extra header'),
    urlPassword: canary('a password in a base URL'),
    urlQuery: canary('a key in a base URL’s query'),
    proxyPassword: canary('a proxy’s password'),
    clientSecret: canary('an OAuth client secret'),
    jwksToken: canary('the token for the key set'),
    functionCode: canary('a code in a custom endpoint’s URL'),
    jwksQuery: canary('a key in the key set’s URL'),
    pepper: canary('the pepper'),
    databasePassword: canary('a database’s password'),
    redisPassword: canary('a Redis password'),
    collectorToken: canary('collector token'),
    collectorKey: canary('collector key'),
    environmentProxy: canary('the password of the environment’s proxy'),
    tlsKey: canaryOfPem('the TLS key', certificate.key),
  }
}

/** What callers send. */
function callersSecrets() {
  return {
    goodToken: canary('a good token'),
    refusedToken: canary('a refused token'),
    invalidToken: canary('a nonsense token'),
    downToken: canary('a down token'),
    badToken: canary('a bad token'),
    apiKeyHeader: canary('a bad token in x-api-key'),
    googleHeader: canary('a bad token in x-goog-api-key'),
    basicPassword: canary('a password by HTTP Basic'),
    cookie: canary('a cookie'),
    queryKey: canary('a key in the query'),
    providerKey: canary('a caller’s provider key'),
    brokenProviderData: canary('a key in provider data that is no JSON'),
    callersHost: canary('a caller’s key for its own host'),
    callersPath: canary('a key in a caller’s own URL'),
    prompt: canary('what was asked'),
    bodyKey: canary('a key in a body that is not valid'),
    unknownKey: canaryOf('an API key that is none', `crl_${'0'.repeat(32)}_${'Zq7'.repeat(12)}Ab`),
  }
}

type Operators = ReturnType<typeof operatorsSecrets>

export interface CanaryStage extends AsyncDisposable {
  readonly operators: Operators
  readonly callers: ReturnType<typeof callersSecrets>
  /** All of the above, and those that were made on the way. */
  readonly canaries: Canary[]
  readonly home: string
  readonly database: SqliteBackend | PostgresBackend
  /** What its keys in Redis begin with, where there is one. */
  readonly namespace: string
  readonly upstream: MockUpstream
  readonly identity: MockUpstream
  readonly issuer: Issuer
  readonly collector: EchoingCollector
  /** Sends a request, keeps the response for the sinks unless it is `unseen`, and returns it. */
  ask(path: string, init?: RequestInit, unseen?: 'unseen'): Promise<{ status: number; text: string }>
  page(path: string): Promise<string>
  /** Runs a command; FILE, BROKEN and AWAY stand for configurations, URL for the server. Returns all that it wrote. */
  command(words: readonly string[]): Promise<string>
  output(): string
  responses(): string
  commandLines(): string
  /** What `corral storage backup` wrote. */
  backup(): string
  /** Resolves once the spans and the numbers of all that has happened so far have reached the collector. */
  exported(): Promise<void>
}

export async function canaryStage(engine: TestEngine): Promise<CanaryStage> {
  const operators = operatorsSecrets()
  const callers = callersSecrets()
  const home = await mkdtemp(join(tmpdir(), 'corral-canary-'))
  const place = await engine.fresh()
  const upstream = await echoingUpstream()
  const identity = await echoingIdentityService()
  const issuer = await startIssuer()
  const collector = echoingCollector()
  const write = (name: string, text: string): string => {
    writeFileSync(join(home, name), text)
    return join(home, name)
  }
  const folder = await mkdtemp(join(tmpdir(), 'corral-canary-files-'))
  const tls = { cert: join(folder, 'server.pem'), key: join(folder, 'server.key') }
  writeFileSync(tls.cert, operators.certificate.cert)
  writeFileSync(tls.key, operators.certificate.key)
  const file = join(folder, 'run.yaml')
  const broken = join(folder, 'broken.yaml')
  const away = join(folder, 'away.yaml')
  const backup = join(folder, 'backup.db')
  const namespace = redis?.freshPrefix() ?? ''
  const config = configOf(operators, { namespace, upstream, identity, issuer, collector, backend: place.backend, tls })
  writeFileSync(file, JSON.stringify(config))
  writeFileSync(broken, JSON.stringify(brokenConfig(config)))
  writeFileSync(away, configOutOfReach(config, [upstream.url, identity.url, issuer.keys.url, collector.url]))
  write('keep', '')
  const real = [
    ['the database’s own password', place.backend.engine === 'postgres' ? place.backend.password : undefined],
    ['the Redis’ own password', redis?.backend.password],
  ] as const
  const canaries = [...Object.values(operators), ...Object.values(callers)].filter((one): one is Canary => 'parts' in one)
  canaries.push(...real.flatMap(([name, password]) => (password ? [canaryOf(name, password.reveal())] : [])))
  const env = environmentOf(operators, { home, backend: place.backend })

  let written = ''
  const child = start(['run', file, '--port', '0'], { cwd: folder, env })
  child.stdout.on('data', (bytes: Buffer) => (written += bytes.toString()))
  child.stderr.on('data', (bytes: Buffer) => (written += bytes.toString()))
  const exited = new Promise((resolve) => child.on('close', resolve))
  const gone = exited.then(() => Promise.reject(new Error(`the server ended:\n${written}`)))
  gone.catch(() => undefined)
  while (!/Corral serves \S+/.test(written)) await Promise.race([new Promise((resolve) => setTimeout(resolve, 20)), gone])
  const url = /Corral serves (\S+?)(?: |$)/m.exec(written)![1]!.replace('127.0.0.1', 'localhost')

  const responses: string[] = []
  const bearer = { authorization: `Bearer ${callers.goodToken.value}` }
  const startCanary: CanaryStage = {
    operators,
    callers,
    canaries,
    home,
    database: place.backend,
    namespace,
    upstream,
    identity,
    issuer,
    collector,
    async ask(path, init = {}, unseen) {
      const response = await fetch(url + path, { ...init, tls: { rejectUnauthorized: false } } as RequestInit)
      const text = await response.text()
      const head = JSON.stringify([...response.headers])
      if (!unseen) responses.push(`${init.method ?? 'GET'} ${path.split(/\?|crl/)[0]} ${response.status} ${head}\n${text}`)
      return { status: response.status, text }
    },
    page: async (path) => (await startCanary.ask(path, { headers: bearer })).text,
    async command(words) {
      const meant: Readonly<Record<string, string>> = { FILE: file, BROKEN: broken, AWAY: away, URL: url, BACKUP: backup }
      const { stdout, stderr } = await corral(
        words.map((word) => meant[word] ?? word),
        { cwd: folder, env },
      )
      return stdout + stderr
    },
    output: () => written,
    responses: () => responses.join('\n'),
    backup: () => readOrNothing(backup, 'latin1'),
    commandLines: () => commandLinesBelow(child.pid ?? 0),
    async exported() {
      const last = `canary-last-${crypto.randomUUID()}`
      await startCanary.ask('/v1/models', { headers: { ...bearer, 'x-request-id': last } })
      while (!collector.spans.some(({ attributes }) => attributes['corral.request_id'] === last)) await Bun.sleep(50)
      const pushes = collector.metrics.length
      // The first may have been on its way.
      while (collector.metrics.length < pushes + 2) await Bun.sleep(50)
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await exited
      for (const part of [upstream, identity, issuer, collector, place]) await part[Symbol.asyncDispose]()
      for (const path of [home, folder]) await rm(path, { recursive: true, force: true })
    },
  }
  return startCanary
}

interface Around {
  /** What this server's keys in Redis begin with. */
  readonly namespace: string
  readonly upstream: MockUpstream
  readonly identity: MockUpstream
  readonly issuer: Issuer
  readonly collector: EchoingCollector
  readonly backend: SqliteBackend | PostgresBackend
  readonly tls: { readonly cert: string; readonly key: string }
}

function compatible(id: string, config: object) {
  return { provider_id: id, provider_type: 'remote::openai-compatible', config }
}

/** A configuration that puts a secret wherever one can stand. */
function configOf(secrets: Operators, { namespace, upstream, identity, issuer, collector, backend, tls }: Around): Record<string, unknown> {
  const at = (user: string) => upstream.url.replace('//', `//${user}@`)
  return {
    version: 2,
    distro_name: 'canary',
    apis: ['inference'],
    providers: {
      inference: [
        compatible('echo', {
          base_url: upstream.url,
          api_key: secrets.keyInFile.value,
          network: { headers: { 'x-operator-key': secrets.extraHeader.value } },
        }),
        { provider_id: 'groq', provider_type: 'remote::groq', config: { base_url: upstream.url, api_key: '${env.GROQ_API_KEY}' } },
        {
          provider_id: 'azure',
          provider_type: 'remote::azure',
          config: { base_url: `${upstream.url}/v1`, api_key: secrets.azureKey.value },
        },
        compatible('in-url', {
          base_url: `${at(`user:${secrets.urlPassword.value}`)}/v1?api_key=${secrets.urlQuery.value}`,
          api_key: 'none',
        }),
        compatible('proxied', {
          base_url: 'http://model.invalid/v1',
          api_key: 'none',
          network: { proxy: { url: `http://user:${secrets.proxyPassword.value}@127.0.0.1:1` } },
        }),
        compatible('away', { base_url: 'http://127.0.0.1:1/v1', api_key: secrets.keyInFile.value }),
      ],
    },
    server: {
      tls_certfile: tls.cert,
      tls_keyfile: tls.key,
      auth: {
        key_pepper: '${env.PEPPER}',
        provider_config: [
          issuer.section({}, { uri: `${issuer.keys.url}/jwks?key=${secrets.jwksQuery.value}`, token: secrets.jwksToken.value }),
          {
            type: 'oauth2_token',
            claims_mapping: { sub: 'roles', roles: 'roles', scope: 'scopes' },
            introspection: {
              url: `${identity.url}/introspect`,
              client_id: 'corral',
              client_secret: '${env.CLIENT_SECRET}',
              send_secret_in_body: true,
            },
          },
          { type: 'custom', endpoint: `${identity.url}/custom?code=${secrets.functionCode.value}`, principal_prefix: 'c:' },
        ],
        access_policy: [{ permit: { actions: ['create', 'read', 'update', 'delete'] } }],
        route_policy: [{ forbid: { paths: '/v1/inspect/forbidden' } }, { permit: { paths: '*' } }],
      },
      quota: {
        ...(redis && { kvstore: { backend: 'counters' } }),
        limits: [{ name: 'many', per: 'user', requests: 100_000, period: 'day' }],
      },
      audit: true,
      egress: { allow: ['127.0.0.1'] },
    },
    storage: {
      backends: {
        records: backendOf(backend),
        elsewhere: { type: 'sql_postgres', host: '127.0.0.1', port: 1, db: 'x', user: 'x', password: '${env.DATABASE_PASSWORD}' },
        ...(redis && {
          counters: {
            type: 'kv_redis',
            host: redis.backend.host,
            port: redis.backend.port,
            password: '${env.REAL_REDIS_PASSWORD:=}',
            namespace,
          },
        }),
        redis: { type: 'kv_redis', host: '127.0.0.1', port: 1, password: secrets.redisPassword.value },
      },
      stores: { metadata: { backend: 'records', namespace: 'registry' } },
    },
    logging: { category_levels: { all: 'debug' } },
    telemetry: {
      store: { enabled: true },
      otlp: { endpoint: collector.url, headers: { authorization: `Bearer ${secrets.collectorToken.value}` } },
      metrics: { interval_ms: 500 },
    },
  }
}

function backendOf(backend: SqliteBackend | PostgresBackend): object {
  if (backend.engine === 'sqlite') return { type: 'kv_sqlite', db_path: backend.path }
  const { host, port, database, user, schema } = backend
  return { type: 'kv_postgres', host, port, db: database, user, schema, password: '${env.REAL_DATABASE_PASSWORD}' }
}

/** The same with secrets in the wrong places: the error is reported without the value. */
function brokenConfig(config: Record<string, unknown>): object {
  return {
    ...config,
    server: {
      ...(config['server'] as object),
      port: '${env.GROQ_API_KEY}',
      workers: '${env.CLIENT_SECRET}',
      cors: { allow_origin_regex: '(${env.PEPPER}' },
    },
    logging: { category_levels: { all: '${env.DATABASE_PASSWORD}' } },
  }
}

/** The same with everything unreachable: the failure is reported without the credentials. As JSON. */
function configOutOfReach(config: Record<string, unknown>, urls: readonly string[]): string {
  const server = config['server'] as { quota: object }
  const { backends } = config['storage'] as { backends: { elsewhere: object } }
  const text = JSON.stringify({
    ...config,
    server: { ...server, quota: { ...server.quota, kvstore: { backend: 'redis' } } },
    storage: {
      backends: { ...backends, elsewhere: { ...backends.elsewhere, type: 'kv_postgres' } },
      stores: { metadata: { backend: 'elsewhere', namespace: 'registry' } },
    },
  })
  // Without the scheme: credentials stand before the host.
  return urls.reduce((changed, url) => changed.replaceAll(new URL(url).host, '127.0.0.1:1'), text)
}

function environmentOf(secrets: Operators, { home, backend }: { home: string; backend: Around['backend'] }): Record<string, string> {
  const password = backend.engine === 'postgres' ? backend.password?.reveal() : undefined
  return {
    CORRAL_HOME: home,
    GROQ_API_KEY: secrets.keyInEnvironment.value,
    CLIENT_SECRET: secrets.clientSecret.value,
    PEPPER: secrets.pepper.value,
    DATABASE_PASSWORD: secrets.databasePassword.value,
    REAL_DATABASE_PASSWORD: password ?? '',
    OTEL_EXPORTER_OTLP_HEADERS: `x-collector-key=${secrets.collectorKey.value}`,
    CORRAL_LOG_FILE: join(home, 'server.log'),
    REAL_REDIS_PASSWORD: redis?.backend.password?.reveal() ?? '',
    // Applies to callers' hosts only: the mocks are exempt.
    HTTP_PROXY: `http://user:${secrets.environmentProxy.value}@127.0.0.1:1`,
    HTTPS_PROXY: `http://user:${secrets.environmentProxy.value}@127.0.0.1:1`,
    NO_PROXY: '127.0.0.1,localhost',
  }
}

/** What every user of the machine can read of a process and those below it. */
function commandLinesBelow(pid: number): string {
  if (process.platform !== 'linux') return ''
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const below = new Set([String(pid)])
  for (let before = 0; before !== below.size;) {
    before = below.size
    for (const id of all) if (below.has(parentOf(id) ?? '')) below.add(id)
  }
  return [...below].map((id) => readOrNothing(`/proc/${id}/cmdline`)).join('\n')
}

function parentOf(id: string): string | undefined {
  return /^PPid:\s+(\d+)/m.exec(readOrNothing(`/proc/${id}/status`))?.[1]
}

function readOrNothing(path: string, encoding: 'utf8' | 'latin1' = 'utf8'): string {
  try {
    return readFileSync(path, encoding)
  } catch {
    // The process has ended meanwhile; or this engine has no such file.
    return ''
  }
}
