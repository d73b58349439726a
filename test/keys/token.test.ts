import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { createHmac } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KeyHasher, readHash, sameHash } from '../../src/auth/keys/hash.ts'
import { loadPepper } from '../../src/auth/keys/pepper.ts'
import { hintOf, idOfToken, createToken } from '../../src/auth/keys/token.ts'
import { Secret } from '../../src/secret.ts'
import { newId } from '../../src/storage/ids.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { runs } from '../../src/testing/sizes.ts'

const id = fc.integer({ min: 0, max: 2 ** 47 }).map((time) => newId('key_', time))

describe('tokens', () => {
  test('[KEY-1] a token names its key, and no two are alike', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(id, (key) => {
        const token = createToken(key).reveal()
        expect(token).toMatch(/^crl_[0-9a-f]{32}_[0-9A-Za-z]{38}$/)
        expect(idOfToken(token)).toBe(key)
        expect(seen.has(token)).toBe(false)
        seen.add(token)
      }),
      { numRuns: runs(2_000) },
    )
  })

  test('[KEY-1] a typo is detected from the token alone', () => {
    fc.assert(
      fc.property(
        id,
        fc.nat(),
        fc.constantFrom(...Array.from('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-.')),
        (key, place, digit) => {
          const token = createToken(key).reveal()
          const at = place % token.length
          fc.pre(token[at] !== digit)
          expect(idOfToken(token.slice(0, at) + digit + token.slice(at + 1))).toBeUndefined()
          expect(idOfToken(token.slice(0, at))).toBeUndefined()
          expect(idOfToken(token.slice(0, at) + token.slice(at + 1))).toBeUndefined()
          expect(idOfToken(`${token}${digit}`)).toBeUndefined()
        },
      ),
      { numRuns: runs(5_000) },
    )
  })

  test('whatever else is shown is no token', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `crl_${text}`),
          fc.string({ minLength: 71, maxLength: 71 }).map((text) => `crl_${text}`),
        ),
        (text) => {
          expect(idOfToken(text)).toBeUndefined()
        },
      ),
      { numRuns: runs(5_000) },
    )
  })

  test('[KEY-1] the secret is as random as it is long', () => {
    const counts = new Map<string, number>()
    const key = newId('key_', 0)
    for (let n = 0; n < 2_000; n++) {
      for (const digit of createToken(key).reveal().slice(37, 69)) counts.set(digit, (counts.get(digit) ?? 0) + 1)
    }
    expect(counts.size).toBe(62)
    const expected = (2_000 * 32) / 62
    // Six standard deviations.
    for (const count of counts.values()) expect(Math.abs(count - expected)).toBeLessThan(6 * Math.sqrt(expected))
  })

  test('the hint shows four characters', () => {
    const token = createToken(newId('key_', 0))
    expect(hintOf(token)).toBe(`crl_…${token.reveal().slice(-4)}`)
  })
})

describe('hashes', () => {
  const hasher = new KeyHasher(new Secret('a pepper of some length'))

  test('a token fits its hash under the same pepper alone', () => {
    fc.assert(
      fc.property(id, fc.string({ minLength: 16 }), (key, other) => {
        const token = createToken(key)
        const stored = readHash(hasher.stored(token))
        expect(sameHash(stored, hasher.digest(token.reveal()))).toBe(true)
        expect(sameHash(stored, new KeyHasher(new Secret(other)).digest(token.reveal()))).toBe(false)
        expect(sameHash(stored, hasher.digest(createToken(key).reveal()))).toBe(false)
        expect(hasher.stored(token)).not.toContain(token.reveal())
      }),
    )
  })

  test('is the HMAC-SHA-256 of the token', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 16, maxLength: 200 }), fc.string({ minLength: 1 }), (secret, text) => {
        const digest = new KeyHasher(new Secret(secret)).digest(text)
        expect(digest.equals(createHmac('sha256', secret).update(text).digest())).toBe(true)
      }),
    )
  })

  test('what is no hash fits nothing', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(sameHash(readHash(text), hasher.digest('x'))).toBe(false)
      }),
    )
  })
})

/** Asks for the pepper a little later. */
async function ask(home: string, ticks: number) {
  for (let n = 0; n < ticks; n++) await new Promise((resolve) => setImmediate(resolve))
  return await loadPepper({ folder: home })
}

describe('the pepper', () => {
  let folder = ''
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'corral-pepper-'))))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test('[KEY-3] is created once, readable by its owner only, also with concurrent callers', async () => {
    for (let round = 0; round < 30; round++) {
      const values = await Promise.all(Array.from({ length: 8 }, (_, n) => ask(join(folder, String(round)), (n * round) % 13)))
      expect(new Set(values.map(({ value }) => value.reveal())).size).toBe(1)
    }
    const home = join(folder, '0')
    const all = [await loadPepper({ folder: home })]
    expect(readdirSync(home)).toEqual(['key-pepper'])
    expect(statSync(join(home, 'key-pepper')).mode & 0o777).toBe(0o600)
    expect(all[0]?.value.reveal().length).toBe(43)
    expect(all.every(({ warning }) => warning === undefined)).toBe(true)
  })

  test('[KEY-3] a configured one is taken, and no file made', async () => {
    const { value, file } = await loadPepper({ folder, configured: new Secret('configured pepper') })
    expect([value.reveal(), file]).toEqual(['configured pepper', undefined])
    expect(readdirSync(folder)).toEqual([])
  })

  test('a pepper file that others can read is reported', async () => {
    await loadPepper({ folder })
    chmodSync(join(folder, 'key-pepper'), 0o644)
    expect((await loadPepper({ folder })).warning).toContain('chmod 600')
  })

  test('one that is empty is an error, not a weak pepper', async () => {
    writeFileSync(join(folder, 'key-pepper'), '\n')
    expect(String(await failureOf(loadPepper({ folder })))).toContain('key_pepper')
    expect(readFileSync(join(folder, 'key-pepper'), 'utf8')).toBe('\n')
  })

  test('a folder that cannot be used is an error that says what to do', async () => {
    writeFileSync(join(folder, 'file'), '')
    expect(String(await failureOf(loadPepper({ folder: join(folder, 'file') })))).toContain('set server.auth.key_pepper')
  })
})
