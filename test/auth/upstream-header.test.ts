import { describe, expect, test } from 'bun:test'
import { jsonReply, mockUpstream } from '../../src/testing/index.ts'
import { authOf, chainOf, guarded, outcome, whoIs } from './guarded.ts'

const section = { type: 'upstream_header', principal_header: 'X-Remote-User', attributes_header: 'X-Remote-Attributes' }
const trusting = { trustedProxies: ['10.0.0.0/8', 'fd00::/8', '192.0.2.7'] }
const shown = (key: string) => ({ 'x-remote-user': 'ada', authorization: `Bearer ${key}` })
const peer = { peerAddress: '10.1.2.3' }

describe('upstream_header', () => {
  test('[AUT-38] without trusted proxies it is a start error', () => {
    expect(() => authOf(section)).toThrow('upstream_header needs server.trusted_proxies')
  })

  test('[AUT-39] the principal is the one a trusted proxy names; other peers are not trusted', async () => {
    await using trusted = await guarded(section, { trustedProxies: ['127.0.0.1'] })
    const { status, line } = await trusted.ask({ 'x-remote-user': 'ada' })
    expect([status, line.fields['principal']]).toEqual([200, 'ada'])
    const { status: without, error } = await trusted.ask()
    expect([without, error?.message]).toEqual([401, 'Missing required authentication header: x-remote-user'])

    await using other = await guarded(section, { trustedProxies: ['10.0.0.0/8'] })
    const refused = await other.ask({ 'x-remote-user': 'ada', 'x-forwarded-for': '10.1.2.3', forwarded: 'for=10.1.2.3' })
    expect([refused.status, refused.error?.message]).toEqual([401, 'Missing required authentication header: x-remote-user'])
    expect(refused.line.fields['denied_reason']).toBe('an identity header from an address that is not a trusted proxy')
    expect(refused.line.fields['principal']).toBeUndefined()
  })

  test('[AUT-39] trusted are the connection’s addresses of the configured ranges, IPv4 in IPv6 included', async () => {
    const chain = chainOf(section, trusting)
    const as = (peerAddress: string | undefined) => outcome(chain, { 'x-remote-user': 'ada' }, { peerAddress, clientAddress: '10.1.2.3' })
    for (const address of ['10.0.0.1', '::ffff:10.9.8.7', 'fd12::1', '192.0.2.7']) expect(await as(address)).toBe('ada')
    for (const address of ['11.0.0.1', '192.0.2.8', 'fe80::1', '::1', '', 'invalid', undefined]) {
      expect(await as(address)).toBe('401 Missing required authentication header: x-remote-user')
    }
  })

  test('[AUT-39] a repeated header names no principal: a proxy that appends lets no caller choose', async () => {
    await using server = await guarded(section, { trustedProxies: ['127.0.0.1'] })
    const twice = [
      ['x-remote-user', 'ada'],
      ['x-remote-user', 'root'],
    ] as [string, string][]
    const { status, error, line } = await server.ask(twice as unknown as Record<string, string>)
    expect([status, error?.message, line.fields['principal']]).toEqual([401, 'Invalid authentication header', undefined])
    expect(line.fields['denied_reason']).toBe('the header x-remote-user names several, or came more than once')
    const chain = chainOf(section, trusting)
    for (const name of ['ada, root', 'ada,root', ',ada', 'ada,', 'CN=ada,OU=x']) {
      expect([name, await outcome(chain, { 'x-remote-user': name }, peer)]).toEqual([name, '401 Invalid authentication header'])
    }
  })

  test('[AUT-38] an ambiguous principal is not trusted', () => {
    for (const everybody of ['0.0.0.0/0', '::/0', '10.1.2.3/0']) {
      expect(() => authOf(section, ['10.0.0.0/8', everybody])).toThrow(`${everybody} is every address there is`)
    }
  })

  test('[AUT-40] attributes are a JSON object; scalars become lists', async () => {
    const chain = chainOf(section, trusting)
    const warnings = JSON.stringify({
      roles: ['admin', 'admin', 7],
      teams: 'ml',
      active: true,
      level: 3,
      nothing: null,
      deep: { a: 1 },
      empty: [],
    })
    expect(await whoIs(chain, { 'x-remote-user': 'ada', 'x-remote-attributes': warnings }, peer)).toEqual({
      id: 'ada',
      authenticator: 'upstream_header',
      attributes: { roles: ['admin', '7'], teams: ['ml'], active: ['true'], level: ['3'] },
    })
    const asked = (attributes: string) => outcome(chain, { 'x-remote-user': 'ada', 'x-remote-attributes': attributes }, peer)
    const failed = '401 Failed to parse authentication attributes header:'
    expect(await asked('{"roles":["admin"]')).toBe(`${failed} invalid JSON`)
    // What HTTP makes of two such headers: a proxy that adds its own to the caller's.
    expect(await asked('{"roles":["admin"]}, {"roles":["user"]}')).toBe(`${failed} invalid JSON`)
    for (const text of ['[]', '"admin"', '5', 'null']) expect(await asked(text)).toBe(`${failed} expected JSON object`)
    expect(await asked('')).toBe('ada')
    const { attributes } = await whoIs(chain, { 'x-remote-user': 'ada', 'x-remote-attributes': '{"__proto__":["admin"]}' }, peer)
    expect(Object.getPrototypeOf(attributes)).toBeNull()
  })

  test('a proxy may use the Authorization header for itself, but two credentials are rejected', async () => {
    const chain = chainOf(section, trusting)
    expect(await outcome(chain, { 'x-remote-user': 'ada', authorization: 'Basic YTpi' }, peer)).toBe('ada')
    expect(await outcome(chain, { 'x-remote-user': 'ada', authorization: 'Bearer whatever' }, peer)).toBe('ada')
    expect(await outcome(chain, { authorization: 'Basic YTpi' }, peer)).toBe('401 Invalid Authorization header format')
    const two = { 'x-remote-user': 'ada', authorization: 'Bearer a', 'x-api-key': 'b' }
    expect(await outcome(chain, two, peer)).toStartWith('400 The request carries more than one credential')
  })

  test('[AUT-39] in a chain, a credential decides where an untrusted address names somebody', async () => {
    await using endpoint = await mockUpstream()
    endpoint.respond(({ json }) => (json?.['api_key'] === 'good' ? jsonReply({ principal: 'bob' }) : jsonReply({}, 401)))
    const chain = chainOf([section, { type: 'custom', endpoint: endpoint.url, principal_prefix: 'c:' }], trusting)
    expect(await outcome(chain, shown('good'), { peerAddress: '203.0.113.9' })).toBe('c:bob')
    expect(await outcome(chain, shown('bad'), { peerAddress: '203.0.113.9' })).toBe(
      '401 Missing required authentication header: x-remote-user',
    )
    expect(await outcome(chain, shown('bad'), peer)).toBe('ada')
    expect(await outcome(chain, { authorization: 'Bearer good' }, peer)).toBe('c:bob')
  })

  test('[AUT-39] the identity header is not forwarded to a custom endpoint', async () => {
    await using endpoint = await mockUpstream()
    endpoint.respond(() => jsonReply({ principal: 'bob' }))
    const chain = chainOf(
      [{ type: 'custom', endpoint: endpoint.url, forward_headers: ['X-Remote-User', 'x-remote-attributes', 'x-tenant'] }, section],
      trusting,
    )
    await whoIs(chain, {
      authorization: 'Bearer k',
      'x-remote-user': 'root',
      'x-remote-attributes': '{"roles":["admin"]}',
      'x-tenant': 'blue',
    })
    expect(endpoint.requests[0]?.text).not.toMatch(/root|admin/)
    expect(endpoint.requests[0]?.text).toContain('blue')
  })
})
