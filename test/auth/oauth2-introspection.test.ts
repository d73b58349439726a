import { describe, expect, test } from 'bun:test'
import { jsonReply, mockUpstream, stallBeforeHead } from '../../src/testing/index.ts'
import { chainOf, guarded, outcome, standingClock, whoIs } from './guarded.ts'

async function start(over: Record<string, unknown> = {}) {
  const service = await mockUpstream()
  const introspection = { url: `${service.url}/introspect`, client_id: 'corral', client_secret: 'our-secret' }
  return { service, section: { type: 'oauth2_token', introspection, ...over }, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() }
}

describe('oauth2_token with introspection', () => {
  test('[AUT-20] asks with a form and HTTP Basic; sub, else username, is the principal', async () => {
    await using it = await start()
    it.service.enqueue(jsonReply({ active: true, sub: 'ada', groups: ['ml'] }), jsonReply({ active: true, sub: '', username: 'bob' }))
    const chain = chainOf(it.section)
    expect(await whoIs(chain, 'opaque 1'.replace(' ', '+'))).toMatchObject({ id: 'ada', attributes: { roles: ['ada'], teams: ['ml'] } })
    expect(await outcome(chain, 'opaque2')).toBe('bob')
    const [first] = it.service.requests
    expect([first?.method, first?.path, first?.text]).toEqual(['POST', '/introspect', 'token=opaque%2B1'])
    expect(first?.headers['authorization']).toBe(`Basic ${btoa('corral:our-secret')}`)
    expect(first?.headers['content-type']).toStartWith('application/x-www-form-urlencoded')
  })

  test('[AUT-20] or with the secret in the form', async () => {
    await using it = await start()
    it.service.enqueue(jsonReply({ active: true, sub: 'ada' }))
    const { introspection } = it.section
    await whoIs(chainOf({ ...it.section, introspection: { ...introspection, send_secret_in_body: true } }), 'opaque')
    const [first] = it.service.requests
    expect(Object.fromEntries(new URLSearchParams(first?.text))).toEqual({
      token: 'opaque',
      client_id: 'corral',
      client_secret: 'our-secret',
    })
    expect(first?.headers['authorization']).toBeUndefined()
  })

  test('[AUT-21] an inactive token, one without a name, and any other status than 200 are a 401 in Llama Stack’s words', async () => {
    await using it = await start({ issuer: 'https://issuer.test', audience: 'corral' })
    await using server = await guarded(it.section)
    const seconds = Math.floor(Date.now() / 1000)
    const cases: [said: string, reply: Parameters<typeof it.service.enqueue>[0]][] = [
      ['Token not active', jsonReply({ active: false })],
      ['Token introspection error', jsonReply({ active: true })],
      ['Token introspection error', jsonReply({ active: true, sub: 7 })],
      ['Token introspection error', jsonReply({ active: true, sub: { a: 1 } })],
      ['Token introspection failed: 400', jsonReply({ error: 'invalid_request' }, 400)],
      ['Token introspection failed: 404', { status: 404, body: 'nothing here' }],
      ['Token introspection failed: 302', { status: 302, headers: { location: it.service.url } }],
      ['Token introspection failed: 204', { status: 204 }],
      ['Token not active', jsonReply({ active: true, sub: 'ada', exp: seconds - 60 })],
      ['Token not active', jsonReply({ active: true, sub: 'ada', nbf: seconds + 60 })],
      ['Token not active', jsonReply({ active: true, sub: 'ada', iss: 'https://evil.test' })],
      ['Token not active', jsonReply({ active: true, sub: 'ada', aud: 'somebody-else' })],
      ['Token not active', jsonReply({ active: true, sub: 'ada', aud: [5, null] })],
      ['Token not active', jsonReply({ active: true, sub: 'ada', aud: { a: 1 } })],
    ]
    for (const [index, [said, reply]] of cases.entries()) {
      it.service.enqueue(reply)
      const { status, error, headers, line } = await server.ask(`opaque-secret-${index}`)
      expect([index, status, error?.message]).toEqual([index, 401, said])
      expect(headers.get('www-authenticate')).toStartWith('Bearer realm="corral", error="invalid_token"')
      expect(line.fields['denied_by']).toBe('authentication')
    }
    expect(JSON.stringify(server.lines)).not.toMatch(/opaque-secret|our-secret/)
    it.service.enqueue(jsonReply({ active: true, sub: 'ada', iss: 'https://issuer.test', aud: ['corral', 'x'] }))
    expect((await server.ask('opaque')).status).toBe(200)
  })

  test('[AUT-22] down, slow, overloaded, or an invalid response: 503 with Retry-After, one line, no secret', async () => {
    await using it = await start({ timeout_seconds: 0.5, negative_cache_ttl_seconds: 0 })
    await using server = await guarded(it.section)
    const service = 'Authentication service unavailable'
    const good = '{"active":true,"sub":"ada"}'
    const cases: [said: string, wait: string, reply: Parameters<typeof it.service.enqueue>[0]][] = [
      [service, '5', jsonReply({ error: 'oops' }, 500)],
      [service, '7', { status: 503, headers: { 'retry-after': '7' } }],
      [service, '60', { status: 429, headers: { 'retry-after': '3600' } }],
      [service, '5', { status: 429, headers: { 'retry-after': 'soon' } }],
      [service, '5', jsonReply({ error: 'invalid_client' }, 401)],
      [service, '5', jsonReply({}, 403, { 'www-authenticate': 'Basic realm="x"' })],
      [service, '5', { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>opaque-secret</h1>' }],
      [service, '5', { status: 200, body: '' }],
      [service, '5', jsonReply(null)],
      [service, '5', jsonReply([{ active: true, sub: 'ada' }])],
      [service, '5', jsonReply({ sub: 'ada' })],
      [service, '5', jsonReply({ active: 'true', sub: 'ada' })],
      [service, '5', jsonReply({ active: 1, sub: 'ada' })],
      [service, '5', { status: 200, body: `{"active":true,"sub":"ada","x":"${'x'.repeat(1_100_000)}"}` }],
      [service, '5', { raw: 'SSH-2.0-OpenSSH_9.6 and more of that\r\n' }],
      [service, '5', { raw: '', end: 'reset' }],
      ['Authentication service timeout', '5', stallBeforeHead],
      ['Authentication service timeout', '5', { body: ['{"active":', { stall: true }] }],
      // Never silent for long, and good in the end.
      ['Authentication service timeout', '5', { body: [...Array.from({ length: 40 }, () => [' ', { wait: 20 }]).flat(), good] }],
    ]
    for (const [index, [said, wait, reply]] of cases.entries()) {
      it.service.enqueue(reply)
      const { status, error, headers, line } = await server.ask(`opaque-secret-${index}`)
      expect([index, status, error?.message, headers.get('retry-after')]).toEqual([index, 503, said, wait])
      expect([line.level, line.fields['status']]).toEqual(['warn', 503])
    }
    expect(JSON.stringify(server.lines)).not.toMatch(/opaque-secret|our-secret/)
    it.service.enqueue(jsonReply({ active: true, sub: 'ada' }))
    expect((await server.ask('opaque')).status).toBe(200)
    const warnings = server.lines.filter(({ message }) => message.startsWith('dependency '))
    expect(warnings.map(({ message }) => message)).toEqual(['dependency unavailable', 'dependency recovered'])
  })

  test('what the issuer says of the expiry bounds how long it is believed', async () => {
    const clock = standingClock()
    await using it = await start({ clock_tolerance_seconds: 0 })
    it.service.respond(() => jsonReply({ active: true, sub: 'ada', exp: clock.now() / 1000 + 5 }))
    const chain = chainOf(it.section, clock)
    await whoIs(chain, 'opaque')
    clock.pass(4_999)
    await whoIs(chain, 'opaque')
    expect(it.service.requests).toHaveLength(1)
    clock.pass(1)
    await whoIs(chain, 'opaque')
    expect(it.service.requests).toHaveLength(2)
  })

  test('without an audience in the file, introspection does not look at it', async () => {
    await using it = await start()
    it.service.enqueue(jsonReply({ active: true, sub: 'ada', aud: 'api://somewhere' }))
    expect(await outcome(chainOf(it.section), 'opaque')).toBe('ada')
  })
})
