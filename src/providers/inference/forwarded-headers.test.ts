import { expect, test } from 'bun:test'
import { assert, property, string } from 'fast-check'
import type { Call } from '../../call.ts'
import { forwardedHeaders, forwardHeaders } from './forwarded-headers.ts'

const callWith = (providerData: Record<string, unknown>): Call => ({ requestId: 'r', signal: new AbortController().signal, providerData })

test.each([
  'Host',
  'content-type',
  'Content-Length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'te',
  'trailer',
  'Cookie',
  'set-cookie',
  'forwarded',
  'proxy-authorization',
  'X-Forwarded-For',
  'x-forwarded-anything',
  'x-real-ip',
  'bad name',
  'bad\r\nname',
  '',
])('%p may not be forwarded to', (header) => {
  expect(forwardHeaders.safeParse({ field: header }).success).toBe(false)
})

test('the server’s own fields may not be forwarded', () => {
  expect(forwardHeaders.safeParse({ __user: 'x-user' }).success).toBe(false)
})

test('what is named is forwarded, what is not stays; control characters go; long values and other types are dropped', () => {
  const rules = forwardHeaders.parse({ tenant: 'X-Tenant-ID', token: 'Authorization', long: 'x-long', list: 'x-list', gone: 'x-gone' })
  const data = { tenant: 42, token: 'Bearer a\r\nx-evil: 1\u0000', long: 'x'.repeat(8193), list: ['a'], other: 'secret' }
  expect(forwardedHeaders(callWith(data), rules)).toEqual({ 'x-tenant-id': '42', authorization: 'Bearer ax-evil: 1' })
  expect(forwardedHeaders(callWith(data), undefined)).toEqual({})
})

test('whatever the caller sends, the headers can be sent', () => {
  assert(
    property(string({ unit: 'binary', maxLength: 200 }), (value) => {
      const headers = forwardedHeaders(callWith({ field: value }), { field: 'x-field' })
      expect(() => new Headers(headers)).not.toThrow()
      expect(headers['x-field'] ?? '').not.toMatch(/[\r\n\0]/)
    }),
  )
})
