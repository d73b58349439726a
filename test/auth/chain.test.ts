import { describe, expect, test } from 'bun:test'
import { createAuthentication } from '../../src/auth/authentication.ts'
import type { AuthenticationRequest, Authenticator } from '../../src/auth/authenticator.ts'
import { CredentialRefused } from '../../src/auth/refusal.ts'
import { createEgress } from '../../src/egress/egress.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { jsonReply, mockUpstream, recordedLog } from '../../src/testing/index.ts'
import { chainOf, guarded, outcome, whoIs } from './guarded.ts'
import { issuerName, startIssuer } from './issuer.ts'

/** How often it was warned that names may clash. */
const warnings = (...sections: Record<string, unknown>[]) =>
  chainOf(sections).lines.filter(({ message }) => message.includes('principal_prefix')).length

/** Corral's own keys, as the chain sees them. */
function ownKeys(): Authenticator & { readonly asked: string[] } {
  const asked: string[] = []
  return {
    type: 'api_key',
    missingCredentialMessage: 'Authentication required. Please provide an API key',
    asked,
    authenticate({ credential }: AuthenticationRequest) {
      if (credential) asked.push(credential.token)
      if (!credential?.token.startsWith('crl_')) return undefined
      if (credential.token !== 'crl_good') throw new CredentialRefused('Invalid API key', { reason: 'unknown key' })
      return { id: 'key-owner', attributes: {}, authenticator: 'api_key' }
    },
  }
}

describe('the chain', () => {
  test('[AUT-6] with nothing shown, Llama Stack’s words of the first authenticator, and a challenge without an error', async () => {
    const introspection = { url: 'https://idp.test:8443/introspect', client_id: 'a', client_secret: 'b' }
    const texts: [said: string, section: Record<string, unknown>][] = [
      [
        'a valid OAuth2 Bearer token from https://issuer.test',
        { type: 'oauth2_token', issuer: issuerName, jwks: { uri: 'https://x.test' } },
      ],
      ['a valid OAuth2 Bearer token in the Authorization header', { type: 'oauth2_token', jwks: { uri: 'https://x.test' } }],
      ['a valid OAuth2 Bearer token validated by idp.test:8443', { type: 'oauth2_token', introspection }],
      ['a valid OAuth2 Bearer token from https://issuer.test', { type: 'oauth2_token', issuer: issuerName, introspection }],
      ['your API key as a Bearer token (validated by check.test)', { type: 'custom', endpoint: 'https://check.test/auth?x=1' }],
      [
        'a valid GitHub access token (https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/managing-your-personal-access-tokens) in the Authorization header (Bearer <token>)',
        { type: 'github_token' },
      ],
      ['a Kubernetes token as a Bearer token', { type: 'kubernetes' }],
    ]
    for (const [said, section] of texts) {
      await using server = await guarded(section, { keys: ownKeys() })
      const { status, error, headers, line } = await server.ask()
      expect([status, error]).toEqual([
        401,
        {
          message: `Authentication required. Please provide ${said}`,
          type: 'authentication_error',
          code: 'missing_credential',
          param: null,
        } as never,
      ])
      expect(headers.get('www-authenticate')).toBe('Bearer realm="corral"')
      expect([line.fields['denied_by'], line.fields['denied_reason']]).toEqual(['authentication', 'no credential'])
    }
  })

  test('[AUT-60] Corral’s own keys are asked first, and theirs is the last word on what is theirs', async () => {
    await using endpoint = await mockUpstream()
    endpoint.respond(() => jsonReply({ principal: 'anybody' }))
    const keys = ownKeys()
    await using server = await guarded({ type: 'custom', endpoint: endpoint.url }, { keys })
    expect((await server.ask('crl_good')).line.fields['principal']).toBe('key-owner')
    const refused = await server.ask('crl_bad')
    expect([refused.status, refused.error?.message]).toEqual([401, 'Invalid API key'])
    expect(endpoint.requests).toHaveLength(0)
    expect((await server.ask('other')).line.fields['principal']).toBe('anybody')
    expect(keys.asked).toEqual(['crl_good', 'crl_bad', 'other'])
    // Anthropic's and Google's clients, and any that says bearer.
    for (const [name, value] of [
      ['x-api-key', 'crl_good'],
      ['x-goog-api-key', 'crl_good'],
      ['authorization', 'bearer crl_good'],
    ] as const) {
      expect((await server.ask({ [name]: value })).line.fields['principal']).toBe('key-owner')
    }
  })

  test('[AUT-60] api_key alone: their own words for everything', async () => {
    await using server = await guarded({ type: 'api_key' }, { keys: ownKeys() })
    expect((await server.ask()).error?.message).toBe('Authentication required. Please provide an API key')
    expect((await server.ask('crl_bad')).error?.message).toBe('Invalid API key')
    const { status, error, headers } = await server.ask('something-else')
    expect([status, error?.message]).toEqual([401, 'The credential was not recognised'])
    expect(headers.get('www-authenticate')).toBe('Bearer realm="corral", error="invalid_token"')
    expect((await server.ask('crl_good')).status).toBe(200)
  })

  test('api_key without any keys to ask is an error at start', () => {
    const deps = { egress: createEgress(), events: createEvents(recordedLog()) }
    expect(() => createAuthentication({ authenticators: [{ type: 'api_key' }] }, deps)).toThrow('the key store is missing')
  })

  test('[AUT-61] the first that recognises a credential decides; who does not passes it on', async () => {
    await using issuer = await startIssuer()
    await using other = await startIssuer()
    await using endpoint = await mockUpstream()
    endpoint.respond(({ json }) => (json?.['api_key'] === 'opaque' ? jsonReply({ principal: 'cleo' }) : jsonReply({}, 401)))
    const chain = chainOf([
      issuer.section({ principal_prefix: 'one:' }),
      other.section({ issuer: 'https://other.test', principal_prefix: 'two:' }),
      { type: 'custom', endpoint: endpoint.url, principal_prefix: 'three:' },
    ])
    expect(await outcome(chain, await issuer.token())).toBe('one:ada')
    expect(await outcome(chain, await other.token({ iss: 'https://other.test' }))).toBe('two:ada')
    expect(await outcome(chain, 'opaque')).toBe('three:cleo')
    expect(endpoint.requests).toHaveLength(1)
    // It belongs to the first one and is invalid: no other is asked.
    expect(await outcome(chain, await issuer.token({ exp: 1 }))).toBe('401 Invalid JWT token')
    expect(await outcome(chain, await other.token({ iss: 'https://other.test', aud: 'x' }))).toBe('401 Invalid JWT token')
    expect(endpoint.requests).toHaveLength(1)
    // It belongs to none: the verdict of the first one.
    expect(await outcome(chain, 'unknown')).toBe('401 Invalid JWT token')
    expect(endpoint.requests).toHaveLength(2)
  })

  test('[AUT-61] while one authenticator is unavailable, no later one decides', async () => {
    await using issuer = await startIssuer()
    await using endpoint = await mockUpstream()
    endpoint.respond(() => ({ status: 500 }))
    const introspected = { type: 'custom', endpoint: endpoint.url }
    const chain = chainOf([introspected, issuer.section({ principal_prefix: 'jwt:' })])
    expect(await outcome(chain, await issuer.token())).toBe('503 Authentication service unavailable')
    const other = chainOf([issuer.section({ principal_prefix: 'jwt:' }), introspected])
    expect(await outcome(other, await issuer.token())).toBe('jwt:ada')
  })

  test('names of several authenticators that may be the same are warned of', async () => {
    await using issuer = await startIssuer()
    expect(warnings(issuer.section())).toBe(0)
    expect(warnings(issuer.section(), { type: 'github_token' })).toBe(1)
    expect(warnings(issuer.section(), { type: 'github_token', principal_prefix: 'github:' })).toBe(0)
  })

  test('[AUT-7] the same refusals over the wire: schemes, two headers, two credentials, signs, lengths', async () => {
    await using server = await guarded({ type: 'api_key' }, { keys: ownKeys() })
    for (const [headers, status, said] of [
      [{ authorization: 'Basic Y3JsX2dvb2Q=' }, 401, 'Invalid Authorization header format'],
      [{ authorization: 'Bearer' }, 401, 'Invalid Authorization header format'],
      [{ authorization: 'Bearer cr\u00e4l' }, 401, 'Invalid Authorization header format'],
      [{ authorization: 'Bearer crl_good', 'x-api-key': 'crl_bad' }, 400, 'The request carries more than one credential'],
      [{ authorization: 'Bearer crl_good, Bearer crl_good' }, 400, 'The request carries more than one credential'],
    ] as const) {
      const authenticated = await server.ask(headers)
      expect([authenticated.status, authenticated.error?.message]).toEqual([status, expect.stringContaining(said) as never])
      expect(authenticated.headers.get('www-authenticate')).toStartWith('Bearer realm="corral"')
      expect(authenticated.line.fields['denied_by']).toBe('authentication')
    }
    expect((await server.fetch('/v1/models', { headers: { authorization: `Bearer ${'a'.repeat(1_000_000)}` } })).status).toBe(431)
    expect(
      (await server.app.fetch(new Request('http://127.0.0.1/v1/models', { headers: { authorization: `Bearer ${'a'.repeat(1_000_000)}` } })))
        .status,
    ).toBe(401)
    expect((await server.ask({}, '/v1/models?key=crl_good')).status).toBe(401)
    expect((await server.ask({ authorization: 'Bearer crl_good', 'x-api-key': 'crl_good' })).status).toBe(200)
  })

  test('the principal says who recognised it', async () => {
    await using issuer = await startIssuer()
    expect((await whoIs(chainOf(issuer.section()), await issuer.token())).authenticator).toBe('oauth2_token')
  })
})
