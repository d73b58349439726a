import { expect, test } from 'bun:test'
import { Secret } from '../secret.ts'
import { redact, redactText } from './redact.ts'

test('secrets, declared or named so, do not show', () => {
  const config = {
    api_key: new Secret('sk-1'),
    base_url: 'https://user:pa%20ss@host/v1?api-version=2&api_key=k1#f',
    nested: [{ client_secret: 's', aws_bearer_token_bedrock: 't' }, 'redis://:p@ss@h:6379/0'],
    network: { headers: { 'x-gateway': 'k' }, timeout: 3, proxy: { url: 'http://u@proxy:3128' } },
    max_tokens: 512,
    allowed_models: ['a'],
    password: '',
    create: () => undefined,
  }
  expect(redact(config)).toEqual({
    api_key: '***',
    base_url: 'https://***@host/v1?api-version=2&api_key=***#f',
    nested: [{ client_secret: '***', aws_bearer_token_bedrock: '***' }, 'redis://***@h:6379/0'],
    network: { headers: { 'x-gateway': '***' }, timeout: 3, proxy: { url: 'http://***@proxy:3128' } },
    max_tokens: 512,
    allowed_models: ['a'],
    password: '',
    create: undefined,
  })
})

test('a message keeps everything but the secrets of its URLs', () => {
  expect(redactText('GET https://a:b@x.example/v1?token=t&n=1 failed; see https://x.example/a@b')).toBe(
    'GET https://***@x.example/v1?token=***&n=1 failed; see https://x.example/a@b',
  )
})

const shown = (url: string) => redact({ endpoint: url })

test('of a URL in the settings no query value shows whose name is not known to be harmless', () => {
  expect(shown('https://f.example/check?code=SECRET')).toEqual({ endpoint: 'https://f.example/check?code=***' })
  expect(shown('https://f.example/?api-version=2&x=SECRET&subscription=SECRET#top')).toEqual({
    endpoint: 'https://f.example/?api-version=2&x=***&subscription=***#top',
  })
  expect(shown('https://f.example/?SECRET')).toEqual({ endpoint: 'https://f.example/?***' })
  expect(shown('https://f.example/?a=')).toEqual({ endpoint: 'https://f.example/?a=' })
  expect(redact(['see https://f.example/?sv=SECRET now', 'no URL?code=1', new URL('https://f.example/?code=SECRET')])).toEqual([
    'see https://f.example/?sv=*** now',
    'no URL?code=1',
    'https://f.example/?code=***',
  ])
})
