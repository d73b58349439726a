import { describe, expect, test } from 'bun:test'
import { inspect } from 'node:util'
import type { AuthConfig } from '../../src/auth/config.ts'
import { authConfigSchema } from '../../src/auth/schema.ts'
import { problems, load, withServer } from '../config/loading.ts'
import { authOf } from './guarded.ts'

const file = (...lines: string[]) => withServer('auth:', '  provider_config:', ...lines.map((line) => `    ${line}`))

async function read(lines: string[], env: Record<string, string> = {}): Promise<AuthConfig['authenticators']> {
  return (await load(file(...lines), { env })).config.auth?.authenticators ?? []
}

describe('server.auth.provider_config', () => {
  test('[AUT-70] Llama Stack’s fields and defaults of oauth2_token', async () => {
    const [jwks] = await read(['type: oauth2_token', 'jwks:', '  uri: https://idp.test/jwks'])
    expect(jwks).toMatchObject({
      type: 'oauth2_token',
      audience: ['llama-stack', 'ogx'],
      issuer: undefined,
      claimsMapping: {
        sub: 'roles',
        username: 'roles',
        groups: 'teams',
        team: 'teams',
        project: 'projects',
        tenant: 'namespaces',
        namespace: 'namespaces',
      },
      check: { kind: 'jwks', uri: 'https://idp.test/jwks', token: undefined, recheckPeriod: 3_600_000 },
      network: { tls: { verify: true } },
    })
    const asked = await read(
      [
        'type: oauth2_token',
        'audience: ${env.AUD}',
        'introspection:',
        '  url: https://idp.test/i',
        '  client_id: corral',
        '  client_secret: ${env.SECRET}',
      ],
      { SECRET: '00123', AUD: 'corral' },
    )
    expect(asked[0]).toMatchObject({ audience: ['corral'], check: { kind: 'introspection', clientId: 'corral', sendSecretInBody: false } })
    const { check } = asked[0] as Extract<AuthConfig['authenticators'][number], { type: 'oauth2_token' }>
    expect(check.kind === 'introspection' && check.clientSecret.reveal()).toBe('00123')
  })

  test('[AUT-70] and of the others', async () => {
    expect((await read(['type: kubernetes']))[0]).toMatchObject({
      apiServerUrl: 'https://kubernetes.default.svc',
      claimsMapping: { username: 'roles', groups: 'roles' },
      network: { tls: { verify: true } },
    })
    expect((await read(['type: github_token']))[0]).toMatchObject({
      apiBaseUrl: 'https://api.github.com',
      claimsMapping: { login: 'roles', organizations: 'teams' },
    })
    expect((await read(['type: custom', 'endpoint: http://check.test/auth', 'verify_tls: "false"']))[0]).toMatchObject({
      endpoint: 'http://check.test/auth',
      network: { tls: { verify: false } },
    })
    expect(await read(['type: api_key'])).toEqual([{ type: 'api_key' }])
    const proxied = await load(
      withServer('trusted_proxies: [10.0.0.0/8]', 'auth: { provider_config: { type: upstream_header, principal_header: X-User } }'),
    )
    expect(proxied.config.auth?.authenticators).toEqual([
      {
        type: 'upstream_header',
        principalPrefix: '',
        principalHeader: 'x-user',
        attributesHeader: undefined,
        attributeHeaders: {},
        trustedProxies: ['10.0.0.0/8'],
      },
    ])
  })

  test('[AUT-70] a type that is empty switches authentication off', async () => {
    expect(await read(['type: ${env.AUTH_PROVIDER:+oauth2_token}', 'jwks:', '  uri: ${env.JWKS}'])).toEqual([])
  })

  test('[AUT-71] one, or a list', async () => {
    const both = await read(['- type: github_token', '- type: oauth2_token', '  jwks: { uri: https://idp.test/jwks }'])
    expect(both.map(({ type }) => type)).toEqual(['github_token', 'oauth2_token'])
    expect(await problems(file('[]'))).toEqual([expect.stringContaining('server.auth.provider_config') as string])
  })

  test('[AUT-72] what contradicts itself is a start error', async () => {
    const cases: [lines: string[], ...said: string[]][] = [
      [['type: oauth2_token'], 'One of jwks or introspection must be configured'],
      [
        ['type: oauth2_token', 'jwks: { uri: https://a.test }', 'introspection: { url: https://a.test, client_id: a, client_secret: b }'],
        'At present only one of jwks or introspection should be configured',
      ],
      [['type: oauth2_token', 'jwks: {}'], 'server.auth.provider_config.jwks.uri: is required'],
      [['type: kubernetes', 'api_server_url: cluster'], 'api_server_url: must be an http:// or https:// URL'],
      [['type: kubernetes', 'tls_cafile: /nowhere/ca.crt'], 'tls_cafile: the file cannot be read (ENOENT)'],
      [['type: kubernetes', 'tls_cafile: /dev/null'], 'tls_cafile: the file holds no certificate in PEM form'],
      [['type: custom'], 'server.auth.provider_config.endpoint: is required'],
      [['type: github_token', 'verify_tsl: false'], "verify_tsl: unknown key. Did you mean 'verify_tls'?"],
      [['type: github_token', 'cache_ttl_seconds: -1'], 'cache_ttl_seconds: must be at least 0'],
      [['type: upstream_header', 'principal_header: X-User'], 'upstream_header needs server.trusted_proxies'],
      [['type: upstream_header', 'principal_header: "X User"'], 'principal_header: must be the name of a header'],
      ...['Authorization', 'host', 'Cookie', 'X-API-Key', 'x-goog-api-key', 'Connection', 'Proxy-Authorization', 'X-Forwarded-For'].map(
        (name): [string[], string] => [['type: upstream_header', `principal_header: ${name}`], 'principal_header: means something else'],
      ),
      [
        ['type: upstream_header', 'principal_header: X-User', 'attributes_header: authorization'],
        'attributes_header: means something else',
      ],
      [
        ['type: upstream_header', 'principal_header: X-User', 'attributes_header: x-user'],
        'upstream_header needs server.trusted_proxies',
        'attributes_header: must be another header than principal_header',
      ],
      [['type: oauth3'], 'server.auth.provider_config.type'],
      [['jwks: { uri: https://a.test }'], 'server.auth.provider_config.type: must be one of oauth2_token'],
    ]
    for (const [lines, ...said] of cases)
      expect([lines, await problems(file(...lines))]).toEqual([lines, said.map((text) => expect.stringContaining(text) as string)])
  })

  test('[AUT-73] secrets of the configuration cannot be printed', () => {
    const config = authOf([
      { type: 'oauth2_token', jwks: { uri: 'https://idp.test', token: 'canary-1' } },
      { type: 'oauth2_token', introspection: { url: 'https://idp.test', client_id: 'a', client_secret: 'canary-2' } },
    ])
    expect(`${JSON.stringify(config)}${inspect(config, { depth: 9 })}`).not.toContain('canary')
    expect(() => authConfigSchema.parse({ type: 'oauth2_token', jwks: { uri: 'https://x', token: ['canary'] } })).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('canary') as string }) as Error,
    )
  })
})
