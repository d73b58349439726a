import { describe, expect, test } from 'bun:test'
import { withTenantIsolation, compileAccessPolicy } from '../../src/access/access-policy.ts'
import { accessFilter } from '../../src/access/filter.ts'
import type { AccessPolicy, Owner } from '../../src/access/policy.ts'
import { createAuthentication } from '../../src/auth/authentication.ts'
import type { Tenancy } from '../../src/auth/config.ts'
import type { Principal } from '../../src/call.ts'
import { createEgress } from '../../src/egress/egress.ts'
import { engines } from '../../src/testing/engines.ts'
import { jsonReply, mockUpstream, providerOf, testApp, testConfig } from '../../src/testing/index.ts'
import { authOf, chainOf, outcome, type Section, whoIs } from '../auth/guarded.ts'
import { startIssuer } from '../auth/issuer.ts'
import { load, problems, withServer } from '../config/loading.ts'

const proxies = { trustedProxies: ['192.0.2.0/24'] }
const proxied = { type: 'upstream_header', principal_header: 'X-User', tenant_header: 'X-Tenant', attributes_header: 'X-Attributes' }

const chainIn = (tenancy: Tenancy, section: Section = proxied) => {
  const quiet = { dependencyFailed() {}, dependencyRecovered() {}, warning() {} }
  return createAuthentication({ ...authOf(section, proxies.trustedProxies), tenancy }, { egress: createEgress(), events: quiet })
}

describe('the tenant of a caller', () => {
  test('[GUA-12] is the attribute `tenants`, out of a claim, a field or a header', async () => {
    await using issuer = await startIssuer()
    const jwks = chainOf(issuer.section({ tenant_claim: 'org.id' }))
    const tenants = async (token: string) => (await whoIs(jwks, token)).attributes['tenants']
    expect(await tenants(await issuer.token({ 'org.id': 'ACME-1' }))).toEqual(['acme-1'])
    // The claim is at the top level; a path is none.
    expect(await tenants(await issuer.token({ org: { id: 'acme' } }))).toBeUndefined()

    await using service = await mockUpstream()
    const introspection = { url: service.url, client_id: 'c', client_secret: 'secret' }
    service.respond(() => jsonReply({ active: true, sub: 'ada', org: 'acme' }))
    const introspected = await whoIs(chainOf({ type: 'oauth2_token', introspection, tenant_claim: 'org' }), 'opaque')
    expect(introspected.attributes['tenants']).toEqual(['acme'])

    service.respond(() => jsonReply({ principal: 'ada', attributes: { tenants: ['other'], teams: ['a'] }, tenant: 'acme' }))
    const custom = await whoIs(chainOf({ type: 'custom', endpoint: service.url, tenant_field: 'tenant' }), 'key')
    expect(custom.attributes).toEqual({ tenants: ['acme'], teams: ['a'] })

    service.respond(() => jsonReply({ status: { userInfo: { username: 'ada', extra: { tenant: ['acme'] } } } }, 201))
    const cluster = await whoIs(chainOf({ type: 'kubernetes', api_server_url: service.url, tenant_claim: 'extra.tenant' }), 'token')
    expect(cluster.attributes['tenants']).toEqual(['acme'])

    const header = await whoIs(chainOf(proxied, proxies), { 'x-user': 'ada', 'x-tenant': 'acme', 'x-attributes': '{"tenants":["b"]}' })
    expect(header.attributes).toEqual({ tenants: ['acme'] })
  })

  test('[GUA-12] is set by nothing else where it has a source, and a malformed one is a 401', async () => {
    const chain = chainOf(proxied, proxies)
    const attributes = { 'x-user': 'ada', 'x-attributes': '{"tenants":["b"],"teams":["t"]}' }
    expect((await whoIs(chain, attributes)).attributes).toEqual({ teams: ['t'] })
    for (const tenant of ['-a', 'a b', 'a,b', 'a, a', '../x', 'a'.repeat(129), '_a']) {
      expect([tenant, await outcome(chain, { ...attributes, 'x-tenant': tenant })]).toEqual([
        tenant,
        '401 The tenant of this credential is malformed',
      ])
    }
    const { tenant_header: _, ...without } = proxied
    expect((await whoIs(chainOf(without, proxies), attributes)).attributes).toMatchObject({ tenants: ['b'] })
  })

  test('[GUA-12] a caller without a tenant is refused in the mode multi; in single every caller has the same', async () => {
    const multi = chainIn({ mode: 'multi' })
    expect(await outcome(multi, { 'x-user': 'ada', 'x-tenant': 'acme' })).toBe('ada')
    expect(await outcome(multi, { 'x-user': 'ada' })).toBe('401 The credential has no tenant')
    const { tenant_header: _, ...without } = proxied
    expect(await outcome(chainIn({ mode: 'multi' }, without), { 'x-user': 'ada', 'x-attributes': '{"tenants":["a","b"]}' })).toStartWith(
      '401',
    )
    const single = chainIn({ mode: 'single', tenant: 'only' })
    for (const tenant of ['acme', '']) {
      expect((await whoIs(single, { 'x-user': 'ada', 'x-tenant': tenant })).attributes['tenants']).toEqual(['only'])
    }
  })
})

const person = (id: string, tenant: string): Principal => ({ id, attributes: { tenants: [tenant], roles: ['admin'] } })
const policies: readonly (readonly [string, AccessPolicy])[] = [
  ['the default policy', compileAccessPolicy([])],
  ['a policy that permits everything', compileAccessPolicy([{ permit: { actions: ['create', 'read', 'update', 'delete'] } }])],
]

describe.each(policies)('in the mode multi, under %s', (_name, policy) => {
  const separated = withTenantIsolation(policy, 'tenants')
  const owners: readonly (Owner | undefined)[] = [
    undefined,
    person('ada', 'a'),
    person('bob', 'b'),
    // The same name at another identity service.
    person('ada', 'b'),
    { id: 'old', attributes: { roles: ['admin'] } },
  ]

  test('[GUA-12] what another tenant owns is not there, whatever roles both have', () => {
    for (const action of ['read', 'update', 'delete'] as const) {
      const allowed = owners.map(
        (owner) => separated.decide({ principal: person('ada', 'a'), action, resource: { type: 'model', id: 'm', owner } }).allowed,
      )
      expect([action, allowed]).toEqual([action, [true, true, false, false, false]])
    }
    const create = { principal: person('ada', 'a'), action: 'create', resource: { type: 'model', id: 'm' } } as const
    expect(separated.decide(create).allowed).toBe(true)
  })

  test('[GUA-12] and SQL says the same', async () => {
    for (const engine of engines) {
      await using database = await engine.open()
      for (const [at, owner] of owners.entries()) {
        const row = {
          id: `r${at}`,
          created_at: at,
          model_id: `m${at}`,
          provider_id: 'p',
          provider_model_id: 'm',
          model_type: 'llm',
          metadata: '{}',
        }
        const owned = { owner_id: owner?.id ?? null, owner_attributes: JSON.stringify(owner?.attributes ?? {}) }
        await database.write((transaction) =>
          transaction
            .insertInto('models')
            .values({ ...row, ...owned } as never)
            .execute(),
        )
      }
      const { where } = accessFilter(
        separated,
        { principal: person('ada', 'a'), action: 'read', type: 'model' },
        { engine: database.engine },
      )
      const rows = await database.read.selectFrom('models').select('id').where(where).orderBy('id').execute()
      expect(rows.map(({ id }) => id)).toEqual(['r0', 'r1'])
    }
  })
})

async function read(...lines: string[]) {
  const { config, warnings } = await load(withServer(...lines))
  return {
    tenancy: config.auth?.tenancy,
    rules: config.accessPolicy.rules?.length,
    warned: warnings.filter(({ path }) => path.startsWith('server')),
  }
}

describe('server.tenancy', () => {
  const auth = [
    'trusted_proxies: [192.0.2.1]',
    'auth: { provider_config: { type: upstream_header, principal_header: X-User, tenant_header: X-Tenant } }',
  ]

  test('[GUA-12] [GUA-10] is read; what asks for nothing is no warning', async () => {
    const nothing = await read(...auth)
    for (const line of ['tenancy: { mode: disabled }', 'tenancy: {}', 'tenancy: null']) {
      expect([line, await read(...auth, line)]).toEqual([line, nothing])
    }
    expect((await read('insecure: false', 'tenancy: { mode: disabled }', 'hsts_max_age: 0')).warned).toEqual([])
    expect(await read(...auth, 'tenancy: { mode: single, default_tenant_id: ACME }')).toEqual({
      ...nothing,
      tenancy: { mode: 'single', tenant: 'acme' },
    })
    const multi = await read(...auth, 'tenancy: { mode: multi }')
    expect([multi.tenancy, multi.rules, multi.warned]).toEqual([{ mode: 'multi' }, nothing.rules! + 1, []])
  })

  test.each([
    [['tenancy: { mode: many }'], 'mode'],
    [['tenancy: { modus: multi }'], 'modus'],
    [['tenancy: { mode: single }'], 'default_tenant_id'],
    [['tenancy: { mode: single, default_tenant_id: "a b" }'], 'default_tenant_id'],
    [['tenancy: true'], 'tenancy'],
  ])('[GUA-12] what is not understood is an error: %p', async (lines, path) => {
    expect((await problems(withServer(...auth, ...lines))).join()).toContain(path)
  })

  test('[GUA-12] is an error without authentication, and multi beside local_api_key', async () => {
    expect((await problems(withServer('tenancy: { mode: multi }'))).join()).toContain('server.auth.provider_config')
    const local = 'auth: { provider_config: { type: local_api_key, api_keys: [a-key-of-the-file] } }'
    expect((await problems(withServer(local, 'tenancy: { mode: multi }'))).join()).toContain('local_api_key')
  })

  test('[GUA-12] holds over HTTP: a model that one tenant registers is 404 for another', async () => {
    const rules = compileAccessPolicy([{ permit: { actions: ['create', 'read', 'update', 'delete'] } }])
    const config = testConfig({
      providers: [providerOf('up', {})],
      auth: { ...authOf(proxied, ['192.0.2.1']), tenancy: { mode: 'multi' } },
      accessPolicy: withTenantIsolation(rules, 'tenants'),
    })
    await using app = await testApp(config)
    const connections = { addressOf: () => '192.0.2.1', mayIdle() {} }
    const ask = (tenant: string, path: string, init: RequestInit = {}) =>
      app.app.fetch(
        new Request(`http://127.0.0.1${path}`, {
          ...init,
          headers: { 'x-user': 'ada', 'x-tenant': tenant, 'content-type': 'application/json' },
        }),
        connections,
      )
    const body = JSON.stringify({ model_id: 'own', provider_id: 'up', provider_model_id: 'm' })
    expect((await ask('a', '/v1/models', { method: 'POST', body })).status).toBe(200)
    expect((await ask('a', '/v1/models/own')).status).toBe(200)
    expect((await ask('b', '/v1/models/own')).status).toBe(404)
    expect((await ask('b', '/v1/models/own', { method: 'DELETE' })).status).toBe(404)
    expect(await (await ask('b', '/v1/models')).text()).not.toContain('own')
    expect((await ask('', '/v1/models')).status).toBe(401)

    // The same user name and model name in another tenant: a model of its own.
    expect((await ask('b', '/v1/models', { method: 'POST', body })).status).toBe(200)
    expect((await ask('b', '/v1/models', { method: 'POST', body })).status).toBe(200)
    expect((await ask('b', '/v1/models/own')).status).toBe(200)
    const other = JSON.stringify({ model_id: 'own', provider_id: 'up', provider_model_id: 'other' })
    expect((await ask('c', '/v1/models', { method: 'POST', body: other })).status).toBe(200)
    expect((await ask('b', '/v1/models', { method: 'POST', body: other })).status).toBe(409)
    expect((await ask('b', '/v1/models/own', { method: 'DELETE' })).status).toBe(200)
    expect((await ask('a', '/v1/models/own')).status).toBe(200)
  })
})

describe('upstream_header', () => {
  test('[GUA-13] trusted_proxy_cidrs names who is believed, in place of server.trusted_proxies', async () => {
    const section = { type: 'upstream_header', principal_header: 'X-User', trusted_proxy_cidrs: ['198.51.100.0/24'] }
    const chain = chainOf(section, proxies)
    expect(await outcome(chain, { 'x-user': 'ada' }, { peerAddress: '198.51.100.7' })).toBe('ada')
    expect(await outcome(chain, { 'x-user': 'ada' }, { peerAddress: '192.0.2.1' })).toStartWith('401')
    for (const wrong of [['0.0.0.0/0'], [], ['invalid']]) {
      expect(() => chainOf({ ...section, trusted_proxy_cidrs: wrong })).toThrow()
    }
    expect(() => chainOf({ ...section, trusted_proxy_cidrs: null as never })).toThrow('trusted_proxies')
  })

  test('[GUA-13] attribute_headers become attributes, beside those of attributes_header', async () => {
    const chain = chainOf({ ...proxied, attribute_headers: { 'X-Team': 'teams', 'X-Role': 'roles' } }, proxies)
    const of = async (headers: Record<string, string>) => ({ ...(await whoIs(chain, { 'x-user': 'ada', ...headers })).attributes })
    expect(await of({ 'x-team': 'ml' })).toEqual({ teams: ['ml'] })
    expect(await of({ 'x-team': '["ml","ops",7]', 'x-role': 'admin', 'x-attributes': '{"teams":["a","ml"]}' })).toEqual({
      teams: ['a', 'ml', 'ops', '7'],
      roles: ['admin'],
    })
    expect(await of({ 'x-team': ' ' })).toEqual({})
    for (const ambiguous of ['a, b', 'a,b', '["a"], ["b"]', '["a"', '[']) {
      expect([ambiguous, await outcome(chain, { 'x-user': 'ada', 'x-team': ambiguous })]).toEqual([
        ambiguous,
        expect.stringMatching(/^401/),
      ])
    }
    for (const header of ['Authorization', 'X-Forwarded-For', 'a b']) {
      expect(() => chainOf({ ...proxied, attribute_headers: { [header]: 'teams' } }, proxies)).toThrow()
    }
  })
})
