import { expect, test } from 'bun:test'
import { CallerUrl } from '../../egress/egress.ts'
import { credentialsInUrl } from './url-credentials.ts'

test.each([
  ['https://api.example/v1', []],
  ['https://api.example/v1?version=2023-10-25&api_key=abc&sig=d%2Fe', ['abc', 'd/e']],
  ['https://me:pass%21@api.example/v1', ['me', 'pass!', 'me', 'pass%21', 'bWU6cGFzcyE=']],
  ['https://:50%25@api.example/', ['50%', '50%25', 'OjUwJQ==']],
  ['https://%zz@api.example/', ['%zz', '%zz', 'JXp6Og==']],
  ['not a url', []],
])('what an error must not show of the operator’s %s', (url, expected) => {
  expect(credentialsInUrl(url)).toEqual(expected)
})

test('of a caller’s own URL every longer part', () => {
  const url = CallerUrl.parse('https://a.example/v1/0123456789abcdef?x=short&y=long-enough', { source: 'x' })
  expect(credentialsInUrl(url)).toEqual(['long-enough', '0123456789abcdef', '0123456789abcdef'])
})
