import { expect, test } from 'bun:test'
import { inspect } from 'node:util'
import { Secret } from './secret.ts'

test('a secret shows nothing of itself, however it is printed', () => {
  const secret = new Secret('sk-canary')
  const prints = [
    JSON.stringify({ secret }),
    'secret: '.concat(secret as unknown as string),
    String(secret),
    inspect({ secret }, { depth: 9, showHidden: true }),
    Bun.inspect({ secret }),
    JSON.stringify(Object.assign({}, secret)),
    Object.values(secret).join(),
  ]
  for (const print of prints) expect(print).not.toContain('canary')
  expect(secret.reveal()).toBe('sk-canary')
})
