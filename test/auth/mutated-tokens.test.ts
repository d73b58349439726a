import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { jsonReply, mockUpstream, type MockUpstream } from '../../src/testing/index.ts'
import { guarded, type Guarded } from './guarded.ts'
import { type Issuer, issuerName, signingKey, startIssuer } from './issuer.ts'
import { runs } from '../../src/testing/sizes.ts'

const decoded = (part: string): Record<string, unknown> => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

const sign = fc.constantFrom(...'abcXYZ019-_.~+/= \u00e9,;"'.split(''))
const edit = fc.record({ at: fc.nat(), kind: fc.constantFrom('replace', 'insert', 'delete', 'cut', 'double'), sign })
const edited = (token: string, edits: readonly { at: number; kind: string; sign: string }[]): string =>
  edits.reduce((text, { at: anywhere, kind, sign: put }) => {
    const at = anywhere % (text.length + 1)
    if (kind === 'insert') return text.slice(0, at) + put + text.slice(at)
    if (kind === 'delete') return text.slice(0, at) + text.slice(at + 1)
    if (kind === 'cut') return text.slice(0, at)
    if (kind === 'double') return text.slice(0, at) + text.slice(Math.max(0, at - 5))
    return text.slice(0, at) + put + text.slice(at + 1)
  }, token)

/** Another spelling of the same bytes is another token. */
const same = (one: string, other: string): boolean => one.trim() === other

const refused = async (guard: Guarded, token: string) => {
  const response = await guard.app.fetch(new Request('http://127.0.0.1/v1/models', { headers: { authorization: `Bearer ${token}` } }))
  await response.body?.cancel()
  return response.status
}

describe('tokens that were tampered with', () => {
  let issuer: Issuer
  let server: Guarded
  let opaque: { service: MockUpstream; server: Guarded }
  const tokens: string[] = []

  beforeAll(async () => {
    const keys = await Promise.all(['RS256', 'ES256', 'Ed25519'].map((name) => signingKey(name, name)))
    issuer = await startIssuer(...keys)
    server = await guarded(issuer.section())
    for (const key of keys) tokens.push(await issuer.token({ groups: ['ml'] }, { key }))
    const service = await mockUpstream()
    service.respond(({ text }) => {
      const active = new URLSearchParams(text).get('token') === 'opaque-good'
      return jsonReply(active ? { active, sub: 'ada' } : { active })
    })
    const introspection = { url: service.url, client_id: 'corral', client_secret: 'secret' }
    opaque = { service, server: await guarded({ type: 'oauth2_token', introspection, max_refusals_per_minute: 0 }) }
    for (const token of tokens) expect((await server.ask(token)).status).toBe(200)
  })
  afterAll(async () => {
    for (const part of [server, opaque.server, opaque.service, issuer]) await part[Symbol.asyncDispose]()
  })

  test('[AUT-18] sign by sign: never accepted, never a 500', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(2), fc.array(edit, { minLength: 1, maxLength: 4 }), async (which, edits) => {
        const token = edited(tokens[which] as string, edits)
        if (same(token, tokens[which] as string)) return
        expect([400, 401]).toContain(await refused(server, token))
      }),
      { numRuns: runs(1500) },
    )
  })

  test('[AUT-18] claim by claim and header by header, the signature kept: never accepted, never a 500', async () => {
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom('root', issuerName, 'llama-stack', 'none', 'HS256', 'RS256', 'ES256', 9e15, -1),
    )
    const claims = fc.dictionary(fc.constantFrom('sub', 'aud', 'iss', 'exp', 'nbf', 'iat', 'groups', '__proto__'), value)
    const header = fc.dictionary(fc.constantFrom('alg', 'kid', 'typ', 'crit', 'b64', 'jwk', 'jku', 'x5u', 'x5c', '__proto__'), value)
    await fc.assert(
      fc.asyncProperty(fc.nat(2), claims, header, async (which, newClaims, newHeader) => {
        const [head = '', body = '', signature] = (tokens[which] as string).split('.')
        const token = `${encoded({ ...decoded(head), ...newHeader })}.${encoded({ ...decoded(body), ...newClaims })}.${signature}`
        if (same(token, tokens[which] as string)) return
        expect(await refused(server, token)).toBe(401)
      }),
      { numRuns: runs(1500) },
    )
  })

  test('[AUT-18] well signed, but with any claims: accepted only if all of them say so, never a 500', async () => {
    const now = Math.floor(Date.now() / 1000)
    const time = fc.oneof(
      fc.constantFrom(now - 3600, now + 3600, 0, -1, 1e300, '5', null),
      fc.integer({ min: now - 10_000, max: now + 10_000 }),
      fc.jsonValue({ maxDepth: 1 }),
    )
    const claims = fc.record(
      {
        sub: fc.oneof(fc.constantFrom('ada', '', ' ', 'a\u0000b', null, 5), fc.string()),
        aud: fc.oneof(fc.constantFrom('ogx', 'llama-stack', 'x', null, 5), fc.array(fc.constantFrom('ogx', 'x', 5, null))),
        iss: fc.constantFrom(issuerName, 'https://evil.test', null, [issuerName]),
        exp: time,
        nbf: time,
        iat: time,
      },
      { requiredKeys: [] },
    )
    let accepted = 0
    await fc.assert(
      fc.asyncProperty(claims, async (some) => {
        const all: Record<string, unknown> = { sub: 'ada', aud: 'ogx', iss: issuerName, exp: now + 600, ...some }
        const status = await refused(server, await issuer.token({ iat: undefined, ...all }))
        const { sub, aud, iss, exp, nbf, iat } = all
        const inTime =
          typeof exp === 'number' &&
          exp > now - 29 &&
          (nbf === undefined || (typeof nbf === 'number' && nbf < now + 31)) &&
          (iat === undefined || (typeof iat === 'number' && iat < now + 31))
        const forUs = [aud].flat().some((one) => one === 'ogx' || one === 'llama-stack')
        if (status === 200) {
          accepted += 1
          expect([typeof sub, inTime, forUs, iss]).toEqual(['string', true, true, issuerName])
        } else expect(status).toBe(401)
      }),
      { numRuns: runs(600), examples: [[{}]] },
    )
    expect(accepted).toBeGreaterThan(0)
  })

  test('[AUT-18] opaque ones: only the very token is accepted', async () => {
    expect(await refused(opaque.server, 'opaque-good')).toBe(200)
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        const token = edited('opaque-good', edits)
        if (token.trim() === 'opaque-good') return
        expect([400, 401]).toContain(await refused(opaque.server, token))
      }),
      { numRuns: runs(500) },
    )
  })
})
