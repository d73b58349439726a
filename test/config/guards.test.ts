import { describe, expect, test } from 'bun:test'
import { load, problems, warnings, withServer } from './loading.ts'

const configOf = async (...lines: string[]) => (await load(withServer(...lines))).config
const alice = { id: 'alice', attributes: { roles: ['admin'] } }

describe('policies', () => {
  test('are read from server.auth and decide', async () => {
    const { accessPolicy, routePolicy } = await configOf(
      'auth:',
      '  provider_config: { type: api_key }',
      '  access_policy:',
      '    - forbid: { actions: [delete] }',
      '      unless: user with admin in roles',
      '    - permit: { actions: [create, read, update, delete] }',
      '  route_policy:',
      '    - permit: { paths: [/v1/health, "/v1/models*"] }',
    )
    const resource = { type: 'model', id: 'm' }
    expect(accessPolicy.isDefault).toBe(false)
    expect(accessPolicy.decide({ principal: alice, action: 'delete', resource }).allowed).toBe(true)
    expect(accessPolicy.decide({ principal: { id: 'bob', attributes: {} }, action: 'delete', resource }).allowed).toBe(false)
    const route = (path: string) => routePolicy?.decide({ principal: undefined, method: 'GET', path }).allowed
    expect([route('/v1/models/a/b'), route('/v1/health'), route('/v1/providers')]).toEqual([true, true, false])
  })

  test('an access policy without authentication stops the start', async () => {
    const policy = 'access_policy: [{ permit: { actions: read } }]'
    for (const rest of ['', 'provider_config: null, ', 'route_policy: [{ permit: { paths: "*" } }], ']) {
      expect(await problems(withServer(`auth: { ${rest}${policy} }`))).toEqual([
        expect.stringMatching(
          /server\.auth\.access_policy: has no effect .*: add server\.auth\.provider_config \(\{type: api_key\}/,
        ) as string,
      ])
    }
    await load(withServer(`auth: { ${policy}, provider_config: { type: api_key } }`))
    await load(withServer('auth: { access_policy: [] }'))
  })

  test('where a variable switches authentication off, it is a warning', async () => {
    const text = withServer('auth: { access_policy: [{ permit: { actions: read } }], provider_config: { type: "${env.AUTH:+api_key}" } }')
    expect((await warnings(text)).join()).toContain('server.auth.access_policy: has no effect without authentication')
    expect((await load(text, { env: { AUTH: '1' } })).config.auth).toBeDefined()
  })
})

const said = async (origin: string) => (await problems(withServer(`cors: { allow_origins: ["${origin}"] }`))).join()

test('an origin that no browser sends is rejected', async () => {
  for (const good of ['https://a.example', 'http://localhost:3000', 'null', '*', 'chrome-extension://abcdef', 'http://[::1]:8080']) {
    expect((await configOf(`cors: { allow_origins: ["${good}"] }`)).server.cors?.allowOrigins).toEqual([good])
  }
  for (const bad of [
    'https://a.example/',
    'https://a.example/app',
    'https://A.example',
    'https://a.example:443',
    'https://u@a.example',
    'https://a.example?x',
  ]) {
    expect([bad, await said(bad)]).toEqual([
      bad,
      expect.stringContaining("can match no browser's origin: write https://a.example") as string,
    ])
  }
  expect(await said('a.example')).toContain('must be an origin such as')
  expect(await said('https://*.example')).toContain('use allow_origin_regex')
})

describe('the audit log', () => {
  test('is on where there is something to refuse, in Corral’s home', async () => {
    const defaults = { folder: '/home/me/.corral/audit', maxFileBytes: 33_554_432 }
    expect((await configOf('port: 1')).audit).toBeUndefined()
    expect((await configOf('quota: { anonymous_max_requests: 1 }')).audit).toEqual(defaults)
    expect((await configOf('auth: { route_policy: [{ permit: { paths: "*" } }] }')).audit).toEqual(defaults)
    expect((await configOf('audit: true')).audit).toEqual(defaults)
    expect((await configOf('quota: { anonymous_max_requests: 1 }', 'audit: false')).audit).toBeUndefined()
  })

  test('lies where the file says', async () => {
    expect((await configOf('audit: { folder: ~/logs, keep_days: 30, max_file_bytes: 65536 }')).audit).toEqual({
      folder: '/home/me/logs',
      keepDays: 30,
      maxFileBytes: 65_536,
    })
    const { config } = await load(withServer('audit: true'), { env: { CORRAL_HOME: '~/c' } })
    expect([config.home, config.audit?.folder]).toEqual(['/home/me/c', '/home/me/c/audit'])
  })
})

const versions = async (line: string, env: Record<string, string> = {}) =>
  (await load(withServer(line), { env })).config.server.clientVersions

describe('client versions', () => {
  test('[PIP-10] are not looked at unless the file says so', async () => {
    for (const line of ['port: 1', 'client_version_check: false', 'client_version_check: null']) expect(await versions(line)).toEqual([])
  })
  test('[PIP-10] are those that are tried, or those that stand there', async () => {
    expect(await versions('client_version_check: true')).toEqual(['0.2', '0.3', '0.4', '0.5', '0.6', '0.7'])
    expect(await versions('client_version_check: [0.2, "0.10", 1.0]')).toEqual(['0.2', '0.10', '1.0'])
  })
  for (const name of ['LLAMA_STACK', 'OGX', 'CORRAL']) {
    test(`[PIP-10] are not looked at when ${name}_DISABLE_VERSION_CHECK is anything`, async () => {
      for (const value of ['1', 'false', ' ']) {
        expect(await versions('client_version_check: true', { [`${name}_DISABLE_VERSION_CHECK`]: value })).toEqual([])
      }
      expect(await versions('client_version_check: true', { [`${name}_DISABLE_VERSION_CHECK`]: '' })).toHaveLength(6)
    })
  }
})

test('trust in every address is reported', async () => {
  expect(await warnings(withServer('trusted_proxies: [10.0.0.0/8, 0.0.0.0/0]'))).toContain(
    "4:33 server.trusted_proxies[1]: 0.0.0.0/0 includes every address: any client can set the caller's address",
  )
})

test('trusted proxies and the way out', async () => {
  const { server, egress } = await configOf('trusted_proxies: [10.0.0.0/8, "::1"]', 'egress: { allow: [mcp.internal, 10.1.0.0/16] }')
  expect(server.trustedProxies).toEqual(['10.0.0.0/8', '::1'])
  expect(egress).toEqual({ allow: ['mcp.internal', '10.1.0.0/16'] })
  const { config } = await load('providers: {}', { env: { HTTPS_PROXY: 'http://user:pw@proxy:3128' } })
  expect(config.egress.proxies?.https?.reveal()).toBe('http://user:pw@proxy:3128')
})

test('quotas are read', async () => {
  const { quota } = await configOf(
    'quota: { anonymous_max_requests: 5, period: hour, limits: [{ per: team, dollars: 10, period: month }] }',
  )
  expect(quota.requests).toEqual({ anonymous: 5, authenticated: 1000, period: 'hour' })
  const ofPath = async (path: string) => (await configOf(`quota: { kvstore: { type: sqlite, db_path: ${path} } }`)).quota.store
  expect([await ofPath('~/q.db'), await ofPath('q.db')]).toEqual([{ path: '/home/me/q.db' }, { path: '/nowhere/q.db' }])
  expect(quota.limits[0]).toMatchObject({ per: ['team'], dollars: 10, period: 'month' })
})
