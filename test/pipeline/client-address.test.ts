import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { trustedPeers } from '../../src/auth/trusted-peers.ts'
import { createClientAddressResolver } from '../../src/http/middleware/client-address.ts'
import { RequestContext } from '../../src/http/middleware/context.ts'
import { runs } from '../../src/testing/sizes.ts'

const proxies = ['10.0.0.0/8', 'fd00::/8', '192.0.2.1']
const behind = createClientAddressResolver(proxies)
const xff = (value: string, peer = '10.0.0.1') => behind(new Headers({ 'x-forwarded-for': value }), peer)
const forwarded = (value: string, peer = '10.0.0.1') => behind(new Headers({ forwarded: value }), peer)

describe('x-forwarded-for', () => {
  /** Header, who connects, the caller. */
  const table: [string, string, string, string][] = [
    ['a stranger’s header does not count', '203.0.113.9', '198.51.100.1', '198.51.100.1'],
    ['a trusted proxy’s counts', '203.0.113.9', '10.1.2.3', '203.0.113.9'],
    ['a single trusted address', '203.0.113.9', '192.0.2.1', '203.0.113.9'],
    ['its neighbour is a stranger', '203.0.113.9', '192.0.2.2', '192.0.2.2'],
    ['the last address that is no proxy', '1.1.1.1, 203.0.113.9, 10.9.9.9', '10.0.0.1', '203.0.113.9'],
    ['what stands before it does not count', '10.0.0.5, 8.8.8.8, 203.0.113.9', '10.0.0.1', '203.0.113.9'],
    ['all proxies: the first of them', '10.0.0.9, 10.0.0.8', '10.0.0.1', '10.0.0.9'],
    ['with a port', '203.0.113.9:51234', '10.0.0.1', '203.0.113.9'],
    ['IPv6', '2001:DB8:0::1', '10.0.0.1', '2001:db8::1'],
    ['IPv6 in brackets with a port', '[2001:db8::1]:443', 'fd00::1', '2001:db8::1'],
    ['IPv6 with a zone', 'fe80::1%eth0', '10.0.0.1', 'fe80::1'],
    ['IPv4 in IPv6', '::ffff:203.0.113.9', '::ffff:10.0.0.1', '203.0.113.9'],
    ['garbage ends the way', '203.0.113.9, unknown', '10.0.0.1', '10.0.0.1'],
    ['garbage before the caller does not matter', '<script>, 203.0.113.9', '10.0.0.1', '203.0.113.9'],
    ['empty', '', '10.0.0.1', '10.0.0.1'],
    ['a trailing comma', '203.0.113.9,', '10.0.0.1', '10.0.0.1'],
    ['an address out of range', '203.0.113.999', '10.0.0.1', '10.0.0.1'],
    ['a number that some read as an address', '3405803785', '10.0.0.1', '10.0.0.1'],
    ['octal', '0313.0.0161.011', '10.0.0.1', '10.0.0.1'],
  ]
  for (const [name, value, peer, caller] of table)
    test(`[PIP-13] ${name}: '${value}' from ${peer}`, () => expect(xff(value, peer)).toBe(caller))
})

describe('forwarded', () => {
  const table: [string, string][] = [
    ['for=203.0.113.9', '203.0.113.9'],
    ['for=203.0.113.9;proto=https;by=10.0.0.1', '203.0.113.9'],
    ['proto=https; For="[2001:db8::1]:4711"', '2001:db8::1'],
    ['for=1.1.1.1, for=203.0.113.9, for=10.2.2.2', '203.0.113.9'],
    ['for="1.1.1.1, for=203.0.113.9', '203.0.113.9'],
    ['for=203.0.113.9, for=unknown', '10.0.0.1'],
    ['for=_hidden', '10.0.0.1'],
    ['by=203.0.113.9', '10.0.0.1'],
    ['203.0.113.9', '10.0.0.1'],
  ]
  for (const [value, caller] of table) test(`[PIP-13] ${value}`, () => expect(forwarded(value)).toBe(caller))
})

const both = (one: string, other: string) => behind(new Headers({ 'x-forwarded-for': one, forwarded: other }), '10.0.0.1')

test('[PIP-13] where the two headers disagree neither counts: one of them may be the caller’s own', () => {
  expect(both('203.0.113.9', 'for=203.0.113.9')).toBe('203.0.113.9')
  expect(both('203.0.113.9', 'for=8.8.8.8')).toBe('10.0.0.1')
  expect(both('8.8.8.8', 'for=203.0.113.9')).toBe('10.0.0.1')
})

const anyAddress = fc.oneof(fc.ipV4(), fc.ipV6())
const isTrusted = trustedPeers(proxies)
const stranger = fc.oneof(fc.ipV4(), fc.ipV6()).filter((text) => !isTrusted(text))
const anything = fc.oneof(anyAddress, fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdef:.,;="[]% for')) }))

const element = (text: string) => `for="${text.includes(':') ? `[${text}]` : text}"`

test('[PIP-13] text of the caller before what a trusted proxy appends changes nothing', () => {
  fc.assert(
    fc.property(
      fc.array(anything, { maxLength: 6 }),
      stranger,
      fc.array(fc.constantFrom('10.1.1.1', 'fd00::7', '192.0.2.1'), { maxLength: 3 }),
      (lies, caller, hops) => {
        const honest = xff([caller, ...hops].join(', '))
        expect(xff([...lies, caller, ...hops].join(', '))).toBe(honest)
        const path = [caller, ...hops].map(element).join(', ')
        expect(forwarded([...lies.map((lie) => `for=${lie}`), path].join(', '))).toBe(honest)
      },
    ),
    { numRuns: runs(1000) },
  )
})

test('[PIP-13] no header of a stranger changes anything, and no header throws', () => {
  const text = fc.string({ unit: 'grapheme-ascii', maxLength: 200 })
  fc.assert(
    fc.property(text, text, anyAddress, (one, other, peer) => {
      const headers = new Headers({ 'x-forwarded-for': one, forwarded: other })
      expect(typeof behind(headers, '10.0.0.1')).toBe('string')
      expect(createClientAddressResolver(['203.0.113.200'])(headers, peer)).toBe(peer)
    }),
    { numRuns: runs(1000) },
  )
})

test('without trusted proxies the client address is that of the connection', () => {
  const request = new Request('http://x/', { headers: { 'x-forwarded-for': '1.1.1.1' } })
  const at = (address: string | undefined) => new RequestContext(request, { mayIdle() {}, addressOf: () => address })
  expect([at('203.0.113.9').clientAddress, at('::ffff:203.0.113.9').clientAddress, at('::1').clientAddress]).toEqual([
    '203.0.113.9',
    '203.0.113.9',
    '::1',
  ])
  expect([at(undefined).clientAddress, new RequestContext(request).clientAddress]).toEqual([undefined, undefined])
})
