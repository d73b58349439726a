import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { recordedLog, testConfig, testServer } from '../../src/testing/index.ts'
import { authOf, chainOf, guarded, outcome, standingClock, whoIs } from './guarded.ts'
import { type OpenIDProvider, startOpenIDProvider } from './openid-provider.ts'

describe('an OpenID provider', () => {
  let provider: OpenIDProvider
  beforeAll(async () => {
    provider = await startOpenIDProvider()
  })
  afterAll(() => provider[Symbol.asyncDispose]())

  const byKeys = (over: Record<string, unknown> = {}) => ({
    type: 'oauth2_token',
    issuer: provider.url,
    jwks: { uri: `${provider.url}/jwks` },
    ...over,
  })
  const byAsking = (how: 'basic' | 'body', over: Record<string, unknown> = {}) => ({
    type: 'oauth2_token',
    introspection: provider.introspection(how),
    ...over,
  })

  test('[AUT-10] its JWT access tokens are taken by its keys', async () => {
    await using server = await guarded(byKeys())
    const { status, line } = await server.ask(await provider.token('llama-stack'))
    expect([status, line.fields['principal']]).toEqual([200, 'service'])
    expect((await server.ask(await provider.token('somebody-else'))).line.fields['denied_reason']).toBe('wrong audience')
    expect((await server.ask(await provider.token())).error?.message).toBe('Invalid JWT token')
  })

  test('[AUT-10] and by the server as its services are put together from the configuration', async () => {
    const log = recordedLog()
    const auth = authOf([byKeys(), byAsking('basic', { principal_claim: 'client_id', principal_prefix: 'machine:' })])
    await using server = await testServer({ ...testConfig({}), auth }, { log })
    const statusOf = async (token?: string) =>
      (await server.fetch('/v1/models', token === undefined ? {} : { headers: { 'x-api-key': token } })).status
    expect(await statusOf(await provider.token('ogx'))).toBe(200)
    expect(await statusOf(await provider.token())).toBe(200)
    expect(await statusOf('never-issued')).toBe(401)
    expect(await statusOf('crl_never-issued')).toBe(401)
    expect(await statusOf()).toBe(401)
    expect((await server.fetch('/v1/health')).status).toBe(200)
    const named = log.lines.filter(({ message }) => message === 'request').map(({ fields }) => fields['principal'])
    expect(named).toEqual(['service', 'machine:service', undefined, undefined, undefined, undefined])
  })

  test('[AUT-31] nested claims of its tokens become attributes', async () => {
    const chain = chainOf(byKeys({ claims_mapping: { 'realm_access.roles': 'roles', groups: 'teams', scope: 'scopes' } }))
    const { attributes } = await whoIs(chain, await provider.token('ogx', 'telemetry.read models.read'))
    expect(attributes).toEqual({ roles: ['admin'], teams: ['ml', 'ops'], scopes: ['telemetry.read', 'models.read'] })
  })

  test('[AUT-41] a route policy may demand a scope of the token', async () => {
    const routePolicy = [{ permit: { paths: '/v1/models' }, when: 'user with telemetry.read in scopes' }]
    await using server = await guarded(byKeys(), { routePolicy })
    expect((await server.ask(await provider.token('ogx', 'models.read telemetry.read'))).status).toBe(200)
    const { status, error } = await server.ask(await provider.token('ogx', 'models.read'))
    expect([status, error?.message]).toEqual([403, 'Access denied: insufficient permissions for route /v1/models'])
  })

  for (const how of ['basic', 'body'] as const) {
    test(`[AUT-20] its opaque tokens are taken by introspection, with the secret by ${how}`, async () => {
      await using server = await guarded(byAsking(how))
      const token = await provider.token()
      const { status, line } = await server.ask(token)
      expect([status, line.fields['principal']]).toEqual([200, 'service-account'])
      expect(line.fields['principal']).toBe('service-account')
      const { status: refused, error } = await server.ask('never-issued')
      expect([refused, error?.message]).toEqual([401, 'Token not active'])
      expect(JSON.stringify(server.lines)).not.toContain(token)
    })
  }

  test('[AUT-20] a revoked token is refused once the TTL is over', async () => {
    const clock = standingClock(Date.now())
    const chain = chainOf(byAsking('basic', { cache_ttl_seconds: 30, principal_claim: 'client_id' }), clock)
    const token = await provider.token()
    expect(await outcome(chain, token)).toBe('service')
    const asked = provider.introspections
    await provider.revoke(token)
    expect(await outcome(chain, token)).toBe('service')
    expect(provider.introspections).toBe(asked)
    clock.pass(30_001)
    expect(await outcome(chain, token)).toBe('401 Token not active')
    expect(provider.introspections).toBe(asked + 1)
  })

  test('a chain of both takes its JWTs and its opaque tokens', async () => {
    const chain = chainOf([byKeys(), byAsking('basic', { principal_claim: 'client_id' })])
    expect(await outcome(chain, await provider.token('ogx'))).toBe('service')
    expect(await outcome(chain, await provider.token())).toBe('service')
    expect(await outcome(chain, 'never-issued')).toBe('401 Invalid JWT token')
  })

  test('[AUT-22] wrong credentials of ours are not the fault of the caller', async () => {
    const section = byAsking('basic')
    await using server = await guarded({ ...section, introspection: { ...section.introspection, client_secret: 'wrong-secret' } })
    const { status, error, line } = await server.ask(await provider.token())
    expect([status, error?.message]).toEqual([503, 'Authentication service unavailable'])
    expect(line.fields['cause']).toContain('check client_id and client_secret')
    expect(JSON.stringify(server.lines)).not.toContain('wrong-secret')
  })
})
