import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { jsonReply, mockUpstream } from '../../src/testing/index.ts'
import { chainOf, guarded, type Guarded, outcome } from '../auth/guarded.ts'
import { type Issuer, issuerName, signingKey, startIssuer } from '../auth/issuer.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Other spellings of the same bytes, as lenient decoders read them. */
function spellingsOf(part: string): string[] {
  const padded = part.padEnd(Math.ceil(part.length / 4) * 4, '=')
  const unused = part.length % 4 === 2 ? 15 : part.length % 4 === 3 ? 3 : 0
  const last = alphabet.indexOf(part.at(-1)!)
  const withBits = Array.from({ length: unused }, (_, at) => part.slice(0, -1) + alphabet[last + at + 1])
  const otherAlphabet = part.replaceAll('-', '+').replaceAll('_', '/')
  return [padded, `${part}=`, `${part}==`, `${part}====`, otherAlphabet, ...withBits].filter((text) => text !== part)
}

const claims = (exp: string) => `{"iss":"${issuerName}","aud":"llama-stack","sub":"ada","exp":${exp}}`

describe('JWTs', () => {
  let issuer: Issuer
  let server: Guarded
  const tokens: string[] = []
  beforeAll(async () => {
    // Signatures of 256, 64 and 132 bytes: two, four and no unused bits.
    const keys = await Promise.all(['RS256', 'ES256', 'Ed25519', 'ES512'].map((name) => signingKey(name, name)))
    issuer = await startIssuer(...keys)
    server = await guarded(issuer.section({ max_refusals_per_minute: 0 }))
    for (const key of keys) tokens.push(await issuer.token({}, { key }))
  })
  afterAll(async () => {
    for (const part of [server, issuer]) await part[Symbol.asyncDispose]()
  })

  test('[GUA-4] another spelling of the same signature, header or claims is a 401', async () => {
    for (const token of tokens) {
      expect((await server.ask(token)).status).toBe(200)
      const parts = token.split('.')
      for (const at of [0, 1, 2]) {
        for (const spelling of spellingsOf(parts[at]!)) {
          expect([spelling, (await server.ask(parts.with(at, spelling).join('.'))).status]).toEqual([spelling, 401])
        }
      }
    }
  })

  test('[GUA-4] says so in the log', async () => {
    const { status, line } = await server.ask(`${tokens[0]}==`)
    expect([status, line.fields['denied_reason']]).toEqual([401, 'not canonical base64url'])
  })

  /** A token with claims as JSON text: `JSON.stringify` writes neither 1e999 nor the same number twice. */
  async function signed(json: string): Promise<string> {
    const [key] = issuer.published
    const body = [`{"alg":"RS256","kid":"${key!.kid}"}`, json].map((text) => Buffer.from(text).toString('base64url')).join('.')
    const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', key!.pair.privateKey, Buffer.from(body))
    return `${body}.${Buffer.from(signature).toString('base64url')}`
  }
  const notFinite = ['1e999', '-1e999', '"4102444800"', 'null', 'true', '[]', '[4102444800]', '{}', '""']

  test('[GUA-5] whose exp is not a finite number are a 401, with and without require_expiry', async () => {
    await using lenient = await guarded(issuer.section({ require_expiry: false, max_refusals_per_minute: 0 }))
    for (const guard of [server, lenient]) {
      for (const exp of notFinite) {
        const { status, line } = await guard.ask(await signed(claims(exp)))
        expect([exp, status, line.fields['denied_reason']]).toEqual([exp, 401, exp === '-1e999' ? 'token expired' : 'bad expiry'])
      }
      expect((await guard.ask(await signed(claims('4102444800.5')))).status).toBe(200)
    }
  })

  test('[GUA-5] an introspection response whose exp or nbf is not a finite number is a 503', async () => {
    await using service = await mockUpstream()
    const introspection = { url: service.url, client_id: 'corral', client_secret: 'our-secret' }
    const chain = chainOf({ type: 'oauth2_token', introspection, negative_cache_ttl_seconds: 0 })
    const json = fc.oneof(fc.constantFrom(...notFinite), fc.json())
    let asked = 0
    await fc.assert(
      fc.asyncProperty(json, fc.constantFrom('exp', 'nbf'), async (value, claim) => {
        fc.pre(!Number.isFinite(JSON.parse(value)))
        service.respond(() => ({
          headers: { 'content-type': 'application/json' },
          body: `{"active":true,"sub":"ada","${claim}":${value}}`,
        }))
        expect(await outcome(chain, `opaque-${asked++}`)).toBe('503 Authentication service unavailable')
      }),
      { numRuns: 40 },
    )
    // What an inactive token says of its times does not matter.
    service.respond(() => ({ headers: { 'content-type': 'application/json' }, body: '{"active":false,"exp":null}' }))
    expect(await outcome(chain, 'opaque-inactive')).toBe('401 Token not active')
    service.respond(() => jsonReply({ active: true, sub: 'ada', exp: 4_102_444_800 }))
    expect(await outcome(chain, 'opaque-good')).toBe('ada')
  })
})
