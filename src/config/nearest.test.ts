import { describe, expect, test } from 'bun:test'
import { isNearMiss, nearest } from './nearest.ts'

const keys = ['base_url', 'api_key', 'allowed_models', 'refresh_models', 'network', 'port', 'host']

describe('the nearest known word', () => {
  const cases: [word: string, expected: string | undefined][] = [
    ['prot', 'port'],
    ['base_ulr', 'base_url'],
    ['baseUrl', 'base_url'],
    ['url', 'base_url'],
    ['apikey', 'api_key'],
    ['allowed_model', 'allowed_models'],
    ['models', 'allowed_models'],
    ['ports', 'port'],
    ['zebra', undefined],
    ['x', undefined],
    ['', undefined],
  ]
  for (const [word, expected] of cases) test(`'${word}' → ${expected}`, () => expect(nearest(word, keys)).toBe(expected as string))

  test('of nothing there is none', () => expect(nearest('port', [])).toBeUndefined())
})

describe('a slip', () => {
  for (const word of ['prot', 'hots', 'base_ulr', 'BaseURL', 'api-key', 'allowed_modles', 'netwrk']) {
    test(`'${word}' is one`, () => expect(isNearMiss(word, keys)).toBe(true))
  }
  for (const word of ['url', 'api_version', 'region', 'timeout', 'x', 'models', '']) {
    test(`'${word}' is none`, () => expect(isNearMiss(word, keys)).toBe(false))
  }
})
