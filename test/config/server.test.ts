import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load, problems, withConfig, withServer } from './loading.ts'

const folder = mkdtempSync(join(tmpdir(), 'corral-config-'))
for (const name of ['cert.pem', 'key.pem', 'ca.pem']) writeFileSync(join(folder, name), 'PEM')
afterAll(() => rmSync(folder, { recursive: true }))

const serverOf = async (...lines: string[]) => (await load(withServer(...lines))).config.server

describe('defaults', () => {
  test('without a server section', async () => {
    expect((await load('providers: {}')).config.server).toEqual({
      port: 8321,
      host: undefined,
      allowUnauthenticated: false,
      workers: 1,
      registryRefreshInterval: 300,
      maxBodyBytes: 33_554_432,
      uploadIdleTimeout: 30,
      streamHeadTimeout: 15,
      heartbeatInterval: 15,
      maxStreamSeconds: 3600,
      maxJsonMembers: 100_000,
      maxBufferedBodyBytes: 1_073_741_824,
      maxRunningRequests: 10_000,
      drainTimeout: 30,
      drainGrace: 1,
      trustedProxies: [],
      clientVersions: [],
      docsNeedAuth: true,
    })
  })

  test('every key is read, references included', async () => {
    const { config } = await load(
      withServer(
        'port: ${env.P:=443}',
        'host: "127.0.0.1"',
        'allowed_hosts: [a.example]',
        'workers: 4',
        'registry_refresh_interval_seconds: 10',
        'max_request_body_bytes: 2048',
        'upload_idle_timeout_seconds: 7',
        'stream_head_timeout_seconds: 0.5',
        'heartbeat_interval_seconds: 5',
        'max_stream_seconds: 0',
        'max_json_members: 2000',
        'max_buffered_body_bytes: 4096',
        'max_running_requests: 50',
        'drain_timeout_seconds: 0',
        'drain_grace_seconds: 0',
      ),
    )
    expect(config.server).toEqual({
      port: 443,
      host: '127.0.0.1',
      allowedHosts: ['a.example'],
      allowUnauthenticated: false,
      workers: 4,
      registryRefreshInterval: 10,
      maxBodyBytes: 2048,
      uploadIdleTimeout: 7,
      streamHeadTimeout: 0.5,
      heartbeatInterval: 5,
      maxStreamSeconds: 0,
      maxJsonMembers: 2000,
      maxBufferedBodyBytes: 4096,
      maxRunningRequests: 50,
      drainTimeout: 0,
      drainGrace: 0,
      trustedProxies: [],
      clientVersions: [],
      docsNeedAuth: true,
    })
  })
})

describe('precedence', () => {
  const file = withServer('port: 1111')
  const portOf = async (env: Record<string, string>, port?: number) => (await load(file, { env, flags: { port } })).config.server.port

  test('[CFG-4] the file counts before the default', async () => {
    expect(await portOf({})).toBe(1111)
  })
  test('[CFG-4] a variable counts before the file: CORRAL_, then OGX_, then LLAMA_STACK_', async () => {
    const all = { CORRAL_PORT: '2', OGX_PORT: '3', LLAMA_STACK_PORT: '4' }
    expect(await portOf(all)).toBe(2)
    expect(await portOf({ ...all, CORRAL_PORT: '' })).toBe(3)
    expect(await portOf({ LLAMA_STACK_PORT: ' 4\n' })).toBe(4)
  })
  test('[CFG-4] a flag counts before all, 0 included', async () => {
    expect(await portOf({ CORRAL_PORT: '2' }, 0)).toBe(0)
  })
  test('a variable that is no port is an error that names it and not its value', async () => {
    expect(await problems(file, { env: { OGX_PORT: '80a0' } })).toEqual([
      'OGX_PORT: must be a port: a whole number from 1 to 65535, or 0 for a free one',
    ])
  })
  test('the configuration itself may be named by a variable', async () => {
    const path = join(folder, 'named.yaml')
    writeFileSync(path, 'distro_name: named\nproviders: {}')
    const { config, origin } = await load('', { source: undefined, env: { LLAMA_STACK_CONFIG: path } })
    expect([config.distribution, origin]).toEqual(['named', { kind: 'file', name: path, path }])
  })
  test('[OPS-4] levels of logging: flag or variable over file', async () => {
    const text = 'providers: {}\nlogging: { category_levels: { core: WARNING, server: critical } }'
    const levels = async (env: Record<string, string>, logging?: string) =>
      (await load(text, { env, flags: { logging } })).config.logging.categoryLevels
    expect(await levels({})).toEqual({ core: 'warn', server: 'error' })
    expect(await levels({ LLAMA_STACK_LOGGING: 'all=info;core=debug' })).toEqual({ all: 'info', core: 'debug', server: 'error' })
    for (const name of ['LLAMA_STACK_LOGGING', 'OGX_LOGGING', 'CORRAL_LOGGING']) {
      expect(await levels({ [name]: 'ALL=critical, core=Warning' })).toEqual({ all: 'error', core: 'warn', server: 'error' })
    }
    expect(await levels({ LLAMA_STACK_LOGGING: 'core=debug' }, 'error, core = silent')).toEqual({
      all: 'error',
      core: 'silent',
      server: 'error',
    })
  })
  test('unknown levels are reported', async () => {
    expect(
      await problems('providers: {}\nlogging: { category_levels: { core: loud } }', { env: { CORRAL_LOGGING: 'core=debgu;=info' } }),
    ).toEqual([
      "CORRAL_LOGGING: not every level is one of debug, info, warn, error and silent: write e.g. 'all=info;server=debug' Did you mean 'debug'?",
      "CORRAL_LOGGING: a category is missing: write e.g. 'all=info;server=debug'",
      '2:31 logging.category_levels.core: is not a level: use debug, info, warn, error or silent',
    ])
  })
})

describe('the address', () => {
  for (const host of ['127.0.0.1', 'localhost', '"::1"', '"[::1]"', '127.1.2.3', 'null', '""']) {
    test(`host: ${host} serves this machine alone`, async () => {
      expect((await serverOf(`host: ${host}`)).port).toBe(8321)
    })
  }
  for (const host of ['0.0.0.0', '"::"', '10.0.0.1', 'server.example']) {
    test(`[CFG-6] host: ${host} needs server.allow_unauthenticated`, async () => {
      const found = await problems(withServer(`host: ${host}`))
      expect(found).toHaveLength(1)
      expect(found[0]).toStartWith('4:3 server.host: ')
      expect(found[0]).toContain('server.allow_unauthenticated: true')
      expect((await serverOf(`host: ${host}`, 'allow_unauthenticated: true')).host).toBe(host.replaceAll('"', ''))
    })
  }
  test('[CFG-6] an address for others is served where callers have to authenticate, also by flag', async () => {
    const auth = 'auth: { provider_config: { type: api_key } }'
    expect((await serverOf('host: 0.0.0.0', auth)).host).toBe('0.0.0.0')
    expect((await load(withServer(auth), { flags: { host: '0.0.0.0' } })).config.server.host).toBe('0.0.0.0')
    for (const off of [
      'auth: { provider_config: { type: "${env.AUTH:+api_key}" } }',
      'auth: { route_policy: [{ permit: { paths: "*" } }] }',
    ]) {
      expect((await problems(withServer('host: 0.0.0.0', off)))[0]).toStartWith('4:3 server.host: ')
    }
  })
  test('[CFG-6] the flag is checked as well, and counts before the file', async () => {
    expect((await problems('providers: {}', { flags: { host: '0.0.0.0' } }))[0]).toStartWith(
      '--host: this address is reachable from other hosts',
    )
    expect((await load(withServer('host: 0.0.0.0'), { flags: { host: '127.0.0.1' } })).config.server.host).toBe('127.0.0.1')
  })
})

describe('TLS', () => {
  test('the pair, and the authority for clients, as absolute paths', async () => {
    const { config } = await load(withServer('tls_certfile: cert.pem', 'tls_keyfile: ${env.KEY}', `tls_cafile: ${folder}/ca.pem`), {
      cwd: folder,
      home: folder,
      env: { KEY: '~/key.pem' },
    })
    expect(config.server.tls).toEqual({ cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), clientCa: join(folder, 'ca.pem') })
  })
  for (const [half, missing] of [
    ['tls_certfile', 'server.tls_keyfile'],
    ['tls_keyfile', 'server.tls_certfile'],
    ['tls_cafile', 'server.tls_certfile and server.tls_keyfile'],
  ] as const) {
    test(`[SRV-3] ${half} alone is an error`, async () => {
      expect(await problems(withServer(`${half}: ${folder}/cert.pem`))).toEqual([
        `4:3 server.${half}: HTTPS needs a certificate and its key: ${missing} is missing, and a half of the pair would mean plain HTTP`,
      ])
    })
  }
  test('a file that is not there is named', async () => {
    expect(await problems(withServer(`tls_certfile: ${folder}/cert.pem`, 'tls_keyfile: nowhere.pem'))).toEqual([
      "5:3 server.tls_keyfile: the file 'nowhere.pem' cannot be read (ENOENT)",
    ])
  })
})

describe('CORS', () => {
  test('off by default, by false and by null', async () => {
    for (const line of ['port: 1', 'cors: false', 'cors: null', 'cors: ${env.CORS:=}']) expect((await serverOf(line)).cors).toBeUndefined()
  })
  test('true is for development: this machine, with whatever headers', async () => {
    const { cors } = await serverOf('cors: ${env.CORS:=true}')
    for (const origin of ['http://localhost:3000', 'https://localhost', 'http://127.0.0.1:8080', 'http://[::1]:5173']) {
      expect(cors?.allowOriginRegex?.test(origin)).toBe(true)
    }
    for (const origin of ['http://localhost.evil.example', 'http://evil.example/?http://localhost', 'http://192.168.0.1', 'null']) {
      expect(cors?.allowOriginRegex?.test(origin)).toBe(false)
    }
    expect(cors).toMatchObject({ allowHeaders: ['*'], allowCredentials: false, maxAge: 600, allowOrigins: [] })
  })
  test("an object has Llama Stack's defaults", async () => {
    expect((await serverOf('cors: {}')).cors).toEqual({
      allowOrigins: [],
      allowMethods: ['OPTIONS'],
      allowHeaders: [],
      exposeHeaders: [],
      allowCredentials: false,
      maxAge: 600,
    })
  })
  test('an expression holds for the whole origin; one that is none is an error', async () => {
    const { cors } = await serverOf("cors: { allow_origin_regex: 'https://a\\.example|https://b\\.example' }")
    expect(
      ['https://a.example', 'https://a.example.evil', 'xhttps://b.example'].map((origin) => cors?.allowOriginRegex?.test(origin)),
    ).toEqual([true, false, false])
    expect((await problems(withServer("cors: { allow_origin_regex: '(' }")))[0]).toStartWith(
      '4:11 server.cors.allow_origin_regex: invalid regular expression',
    )
  })
  test('a negative age and a wrong type are errors', async () => {
    expect(await problems(withServer('cors: { max_age: -1 }'))).toEqual(['4:11 server.cors.max_age: must be at least 0'])
    expect(await problems(withServer('cors: sometimes'))).toEqual(['4:3 server.cors: must be true or false or a map, not a string'])
  })
})

test('flags out of range are reported without a line', async () => {
  expect(await problems(withConfig('mode: fast'), { flags: { port: 70_000, workers: 0 } })).toEqual([
    '--port: must be a port: a whole number from 1 to 65535, or 0 for a free one',
    '--workers: must be an integer from 1 to 256',
  ])
})
