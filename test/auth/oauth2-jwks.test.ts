import { describe, expect, test } from 'bun:test'
import { createHmac, createPublicKey } from 'node:crypto'
import { exportJWK, exportSPKI, generateSecret, type JWK } from 'jose'
import { chainOf, guarded, outcome, standingClock, until, whoIs } from './guarded.ts'
import { issuerName, signingKey, startIssuer } from './issuer.ts'

const base64url = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

const good = { iss: issuerName, aud: 'llama-stack', sub: 'ada', exp: Math.floor(Date.now() / 1000) + 600 }

/** Of 1024 bits, with which jose itself signs nothing. */
async function shortKey(): Promise<{ jwk: JWK; token: string }> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]) }
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const body = `${base64url({ alg: 'RS256', kid: 'short' })}.${base64url(good)}`
  const signature = await crypto.subtle.sign(algorithm, pair.privateKey, Buffer.from(body))
  const jwk = { ...(await crypto.subtle.exportKey('jwk', pair.publicKey)), kid: 'short' } as JWK
  return { jwk, token: `${body}.${Buffer.from(signature).toString('base64url')}` }
}

describe('oauth2_token with jwks', () => {
  test('[AUT-10] a token of the issuer is its subject, with the claims that are mapped', async () => {
    await using issuer = await startIssuer()
    await using server = await guarded(issuer.section())
    const { status, line } = await server.ask(await issuer.token())
    expect([status, line.fields['principal']]).toEqual([200, 'ada'])
    const chain = chainOf(issuer.section())
    const token = await issuer.token({
      username: 'ada.l',
      groups: ['ml', 'ops'],
      team: 'core',
      project: 'p1 p2',
      tenant: 't',
      namespace: 'n',
      scope: 'a b',
    })
    expect(await whoIs(chain, token)).toEqual({
      id: 'ada',
      authenticator: 'oauth2_token',
      attributes: {
        roles: ['ada', 'ada.l'],
        teams: ['ml', 'ops', 'core'],
        projects: ['p1', 'p2'],
        namespaces: ['t', 'n'],
        scopes: ['a', 'b'],
      },
    })
  })

  test('[AUT-11] without an audience in the file, tokens for llama-stack and for ogx are taken; else only those named', async () => {
    await using issuer = await startIssuer()
    const defaults = chainOf(issuer.section())
    expect(await outcome(defaults, await issuer.token({ aud: 'llama-stack' }))).toBe('ada')
    expect(await outcome(defaults, await issuer.token({ aud: ['x', 'ogx'] }))).toBe('ada')
    expect(await outcome(defaults, await issuer.token({ aud: 'corral' }))).toBe('401 Invalid JWT token')
    const named = chainOf(issuer.section({ audience: ['corral', 'gate'] }))
    expect(await outcome(named, await issuer.token({ aud: 'gate' }))).toBe('ada')
    expect(await outcome(named, await issuer.token({ aud: 'ogx' }))).toBe('401 Invalid JWT token')
    expect(await outcome(chainOf(issuer.section({ audience: 'corral' })), await issuer.token({ aud: undefined }))).toBe(
      '401 Invalid JWT token',
    )
  })

  test('[AUT-12] what is wrong with a token is a 401 with the reason for the log and RFC 6750’s for the caller', async () => {
    const other = await signingKey('RS256')
    await using issuer = await startIssuer(await signingKey('RS256'))
    await using server = await guarded(issuer.section())
    const [key] = issuer.published
    const seconds = Math.floor(Date.now() / 1000)
    const publicPem = await exportSPKI(key!.pair.publicKey)
    const signedWithPublicKey = (() => {
      const body = `${base64url({ alg: 'HS256', typ: 'JWT', kid: key!.kid })}.${base64url(good)}`
      return `${body}.${createHmac('sha256', publicPem).update(body).digest('base64url')}`
    })()
    const valid = await issuer.token()
    const [head, body, signature] = valid.split('.')
    const cases: [why: string, token: string][] = [
      ['token expired', await issuer.token({ exp: seconds - 31 })],
      ['token without expiry', await issuer.token({ exp: undefined })],
      ['token not valid yet', await issuer.token({ nbf: seconds + 60 })],
      ['token issued in the future', await issuer.token({ iat: seconds + 60 })],
      ['wrong audience', await issuer.token({ aud: 'somebody-else' })],
      ['another issuer', await issuer.token({ iss: 'https://evil.test' })],
      ['another issuer', await issuer.token({ iss: undefined })],
      ['no such key', await issuer.token({}, { header: { kid: 'nobody' } })],
      ['bad signature', await issuer.token({}, { key: { ...other, kid: key!.kid } })],
      ['bad signature', `${head}.${base64url({ ...good, sub: 'root' })}.${signature}`],
      ['an algorithm that no key has', `${base64url({ alg: 'none' })}.${base64url(good)}.`],
      ['an algorithm that no key has', `${base64url({ alg: 'NoNe', kid: key!.kid })}.${body}.${signature}`],
      ['an algorithm that no key has', signedWithPublicKey],
      ['an algorithm that no key has', `${base64url({ alg: 5 })}.${body}.${signature}`],
      ['malformed token', `${base64url('invalid')}.${body}.${signature}`],
      ['malformed token', await issuer.token({}, { header: { kid: 7 } })],
      ['malformed token', `${base64url({ alg: 'RS256', kid: key!.kid, crit: ['x'], x: 1 })}.${body}.${signature}`],
      ['no usable subject', await issuer.token({ sub: undefined })],
      ['no usable subject', await issuer.token({ sub: '' })],
      ['no usable subject', await issuer.token({ sub: 'a\nb' })],
      ['no usable subject', await issuer.token({ sub: 'a'.repeat(600) })],
      ['no usable subject', await issuer.token({ sub: 5 as never })],
      ['not a JWT', 'opaque'],
      ['not a JWT', `${valid}.${valid}`],
    ]
    for (const [why, token] of cases) {
      const { status, error, headers, line } = await server.ask(token)
      expect([why, status, error?.message]).toEqual([why, 401, 'Invalid JWT token'])
      expect(headers.get('www-authenticate')).toStartWith('Bearer realm="corral", error="invalid_token"')
      expect([line.fields['denied_by'], line.fields['denied_reason']]).toEqual(['authentication', why])
      const text = JSON.stringify(server.lines)
      for (const part of token.split('.').filter((piece) => piece.length > 8)) expect(text).not.toContain(part)
    }
    expect((await server.ask(valid)).status).toBe(200)
  })

  test('[AUT-12] an expired token says so in the code and the challenge', async () => {
    await using issuer = await startIssuer()
    await using server = await guarded(issuer.section())
    const { error, headers } = await server.ask(await issuer.token({ exp: 1_700_000_000 }))
    expect(error?.code).toBe('token_expired')
    expect(headers.get('www-authenticate')).toBe('Bearer realm="corral", error="invalid_token", error_description="The token has expired"')
  })

  test('[AUT-13] algorithms go by the type of the key', async () => {
    const keys = await Promise.all(['RS256', 'PS384', 'ES256', 'ES384', 'ES512', 'Ed25519'].map((name) => signingKey(name)))
    await using issuer = await startIssuer(...keys)
    const chain = chainOf(issuer.section())
    for (const key of keys) expect((await whoIs(chain, await issuer.token({ sub: key.algorithm }, { key }))).id).toBe(key.algorithm)
    const eddsa = keys.at(-1)!
    expect(await outcome(chain, await issuer.token({}, { key: { ...eddsa, algorithm: 'EdDSA' } }))).toBe('ada')
  })

  test('[AUT-13] a key that names its algorithm is used for that one alone', async () => {
    const key = await signingKey('RS512')
    Object.assign(key.jwk, { alg: 'RS256' })
    await using issuer = await startIssuer(key)
    expect(await outcome(chainOf(issuer.section()), await issuer.token())).toBe('401 Invalid JWT token')
  })

  test('[AUT-14] symmetric keys, keys for encryption, short and broken ones in a key set are not used', async () => {
    await using issuer = await startIssuer(await signingKey('RS256'))
    const secret = await generateSecret('HS256', { extractable: true })
    const oct = { ...(await exportJWK(secret)), kid: 'oct', alg: 'HS256' }
    const [key] = issuer.published
    const pem = createPublicKey({ key: key!.jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
    const enc = await signingKey('RS256', 'enc')
    const wrap = await signingKey('RS256', 'wrap')
    const broken: JWK = { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'broken' }
    const short = await shortKey()
    for (const extra of [
      oct,
      { ...enc.jwk, use: 'enc' },
      { ...wrap.jwk, key_ops: ['wrapKey'] },
      broken,
      short.jwk,
      null,
      'key',
      { kty: 'RSA' },
      {},
    ]) {
      issuer.published.push({ ...key!, jwk: extra as JWK })
    }
    const chain = chainOf(issuer.section())
    expect(await outcome(chain, await issuer.token())).toBe('ada')
    const forged = `${base64url({ alg: 'HS256', kid: 'oct' })}.${base64url(good)}`
    const mac = (with_: string | Buffer) => createHmac('sha256', with_).update(forged).digest('base64url')
    expect(await outcome(chain, `${forged}.${mac(Buffer.from(oct.k!, 'base64url'))}`)).toBe('401 Invalid JWT token')
    expect(await outcome(chain, `${forged}.${mac(pem)}`)).toBe('401 Invalid JWT token')
    for (const one of [enc, wrap]) expect(await outcome(chain, await issuer.token({}, { key: one }))).toBe('401 Invalid JWT token')
    expect(await outcome(chain, short.token)).toBe('401 Invalid JWT token')
    expect(await outcome(chain, await issuer.token({}, { header: { kid: 'broken', alg: 'RS256' } }))).toBe('401 Invalid JWT token')
    const es = await signingKey('ES256', 'broken')
    expect(await outcome(chain, await issuer.token({}, { key: es }))).toBe('401 Invalid JWT token')
  })

  test('a token without kid is tried with every key of its type', async () => {
    const [one, other, third] = await Promise.all([signingKey('RS256'), signingKey('RS256'), signingKey('ES256')])
    await using issuer = await startIssuer(one, third, other)
    const chain = chainOf(issuer.section())
    for (const key of [one, other, third])
      expect(await outcome(chain, await issuer.token({}, { key, header: { kid: undefined } }))).toBe('ada')
    const stranger = await signingKey('RS256')
    expect(await outcome(chain, await issuer.token({}, { key: stranger, header: { kid: undefined } }))).toBe('401 Invalid JWT token')
  })

  test('[AUT-15] clocks may differ by the tolerance, and by no more', async () => {
    const clock = standingClock()
    await using issuer = await startIssuer()
    const seconds = clock.now() / 1000
    const chain = chainOf(issuer.section({ clock_tolerance_seconds: 5, cache_ttl_seconds: 0 }), clock)
    const passes = async (claims: Record<string, number>) =>
      whoIs(chain, await issuer.token(claims, { now: clock.now() })).then(
        () => true,
        () => false,
      )
    expect(await passes({ exp: seconds - 4 })).toBe(true)
    expect(await passes({ exp: seconds - 5 })).toBe(false)
    expect(await passes({ nbf: seconds + 5 })).toBe(true)
    expect(await passes({ nbf: seconds + 6 })).toBe(false)
    expect(await passes({ iat: seconds + 5 })).toBe(true)
    expect(await passes({ iat: seconds + 6 })).toBe(false)
  })

  test('a remembered token is believed until it expires, and no longer than the TTL', async () => {
    const clock = standingClock()
    await using issuer = await startIssuer()
    const seconds = clock.now() / 1000
    const chain = chainOf(issuer.section({ cache_ttl_seconds: 60 }), clock)
    const token = await issuer.token({ exp: seconds + 20 }, { now: clock.now() })
    await whoIs(chain, token)
    clock.pass(49_900)
    await whoIs(chain, token)
    clock.pass(200)
    expect(await outcome(chain, token)).toBe('401 Invalid JWT token')
  })

  test('a token that is not valid yet is not refused for longer than that', async () => {
    const clock = standingClock()
    await using issuer = await startIssuer()
    const chain = chainOf(issuer.section({ clock_tolerance_seconds: 0 }), clock)
    const token = await issuer.token({ nbf: clock.now() / 1000 + 3 }, { now: clock.now() })
    expect(await outcome(chain, token)).toBe('401 Invalid JWT token')
    clock.pass(3_000)
    expect(await outcome(chain, token)).toBe('ada')
  })

  test('principal_claim and principal_prefix say what a caller is called', async () => {
    await using issuer = await startIssuer()
    const chain = chainOf(issuer.section({ principal_claim: 'profile.email', principal_prefix: 'corp:' }))
    expect((await whoIs(chain, await issuer.token({ profile: { email: 'ada@corp.test' } }))).id).toBe('corp:ada@corp.test')
    expect(await outcome(chain, await issuer.token())).toBe('401 Invalid JWT token')
  })

  test('require_expiry: false takes tokens without exp', async () => {
    await using issuer = await startIssuer()
    expect(await outcome(chainOf(issuer.section({ require_expiry: false })), await issuer.token({ exp: undefined }))).toBe('ada')
  })
})

describe("an issuer's keys", () => {
  test('[AUT-16] are fetched once for many tokens, with the token of the configuration', async () => {
    await using issuer = await startIssuer()
    const chain = chainOf(issuer.section({}, { token: 'jwks-secret' }))
    const tokens = await Promise.all(Array.from({ length: 20 }, (_, index) => issuer.token({ sub: `u${index}` })))
    const ids = await Promise.all(tokens.map(async (token) => (await whoIs(chain, token)).id))
    expect(new Set(ids).size).toBe(20)
    expect(issuer.keys.requests.map(({ headers }) => headers['authorization'])).toEqual(['Bearer jwks-secret'])
  })

  test('[AUT-16] rotation: a key that is not known is looked for at once, but not more often than the cooldown allows', async () => {
    const clock = standingClock()
    await using issuer = await startIssuer()
    const chain = chainOf(issuer.section({ negative_cache_ttl_seconds: 60 }, { refetch_cooldown_seconds: 10 }), clock)
    const now = { now: clock.now() }
    await whoIs(chain, await issuer.token({}, now))
    const next = await signingKey('RS256')
    issuer.published.push(next)
    const fresh = await issuer.token({ sub: 'new' }, { ...now, key: next })
    // The first fetch was just now.
    expect(await outcome(chain, fresh)).toBe('401 Invalid JWT token')
    expect(issuer.keys.requests).toHaveLength(1)
    clock.pass(10_001)
    expect(await outcome(chain, fresh)).toBe('new')
    expect(issuer.keys.requests).toHaveLength(2)
    // A thousand strangers cause no fetch within the cooldown.
    for (let index = 0; index < 1_000; index++) {
      expect(await outcome(chain, await issuer.token({}, { ...now, header: { kid: `x${index}` } }))).toBe('401 Invalid JWT token')
    }
    expect(issuer.keys.requests).toHaveLength(2)
    clock.pass(10_001)
    const strangers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => issuer.token({}, { ...now, header: { kid: `y${index}` } })),
    )
    await Promise.allSettled(strangers.map((token) => whoIs(chain, token)))
    expect(issuer.keys.requests).toHaveLength(3)
  })

  test('[AUT-16] rotation without kid: the new key is found as well', async () => {
    const clock = standingClock()
    await using issuer = await startIssuer()
    const chain = chainOf(issuer.section(), clock)
    const plain = { now: clock.now(), header: { kid: undefined } }
    await whoIs(chain, await issuer.token({}, plain))
    issuer.published[0] = await signingKey('RS256')
    clock.pass(10_001)
    expect(await outcome(chain, await issuer.token({ sub: 'new' }, plain))).toBe('new')
  })

  test('[AUT-16] a key that was taken out is no longer believed after key_recheck_period', async () => {
    const clock = standingClock()
    await using issuer = await startIssuer()
    const chain = chainOf(issuer.section({ cache_ttl_seconds: 1 }, { key_recheck_period: 100 }), clock)
    const token = await issuer.token({}, { now: clock.now() })
    await whoIs(chain, token)
    issuer.published[0] = await signingKey('RS256')
    clock.pass(100_000)
    // No request waits for the new set: this one is still verified with the old.
    await whoIs(chain, token)
    await until(async () => {
      clock.pass(1_001)
      return whoIs(chain, token).then(
        () => false,
        () => true,
      )
    })
    expect(issuer.keys.requests.length).toBeGreaterThanOrEqual(2)
  })

  test('[AUT-17] a key set that cannot be had is a 503 with Retry-After, and good again once it can', async () => {
    const clock = standingClock()
    await using issuer = await startIssuer()
    await using server = await guarded(issuer.section({ timeout_seconds: 0.5 }), clock)
    const token = await issuer.token({}, { now: clock.now() })
    const html = { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Log in</h1>' }
    const scripts = [
      { status: 500 },
      { status: 404, body: JSON.stringify({ keys: issuer.published.map(({ jwk }) => jwk) }) },
      { status: 302, headers: { location: issuer.keys.url } },
      html,
      { body: '[]' },
      { body: '{"keys":{}}' },
      { body: '{"keys":[],"x":"'.padEnd(1_100_000, 'x') },
      { raw: '', end: 'reset' as const },
      { before: { stall: true as const } },
    ]
    for (const [index, script] of scripts.entries()) {
      issuer.keys.enqueue(script)
      const { status, headers, error, line } = await server.ask(token)
      const said = index === scripts.length - 1 ? 'Authentication service timeout' : 'Authentication service unavailable'
      expect([index, status, error?.message, headers.get('retry-after')]).toEqual([index, 503, said, '5'])
      expect(headers.get('www-authenticate')).toBeNull()
      expect([line.level, line.fields['error_type'], line.fields['denied_by']]).toEqual(['warn', 'service_unavailable_error', undefined])
      expect(issuer.keys.requests).toHaveLength(index + 1)
      // Within the next second there is no further request.
      expect((await server.ask(await issuer.token({ sub: 'bob' }, { now: clock.now() }))).status).toBe(503)
      expect(issuer.keys.requests).toHaveLength(index + 1)
      clock.pass(1_001)
    }
    expect(server.lines.filter(({ message }) => message === 'dependency unavailable')).toHaveLength(1)
    expect((await server.ask(token)).status).toBe(200)
    expect(server.lines.filter(({ message }) => message === 'dependency recovered')).toHaveLength(1)
    expect(JSON.stringify(server.lines)).not.toContain(token.split('.')[2]!)
  })

  test('[AUT-17] keys at hand outlive an outage of the issuer for a while, and not for ever', async () => {
    const clock = standingClock()
    await using issuer = await startIssuer()
    const chain = chainOf(issuer.section({ cache_ttl_seconds: 0 }, { key_recheck_period: 100 }), clock)
    const token = await issuer.token({ exp: clock.now() / 1000 + 10_000 }, { now: clock.now() })
    await whoIs(chain, token)
    issuer.keys.respond(() => ({ status: 500 }))
    clock.pass(150_000)
    expect(await outcome(chain, token)).toBe('ada')
    await until(() => chain.lines.some(({ message }) => message === 'dependency unavailable'))
    clock.pass(50_000)
    expect(await outcome(chain, token)).toBe('503 Authentication service unavailable')
  })

  test('[AUT-17] a token with an unknown key is a 503 while the issuer is down: it may be good', async () => {
    const clock = standingClock()
    await using issuer = await startIssuer()
    const chain = chainOf(issuer.section(), clock)
    await whoIs(chain, await issuer.token({}, { now: clock.now() }))
    await issuer.keys.refuse()
    clock.pass(11_000)
    const key = await signingKey('RS256')
    expect(await outcome(chain, await issuer.token({}, { key, now: clock.now() }))).toBe('503 Authentication service unavailable')
    expect(chain.lines.map(({ message }) => message)).toEqual(['dependency unavailable'])
    expect(await outcome(chain, await issuer.token({ sub: 'bob' }, { now: clock.now() }))).toBe('bob')
  })
})
