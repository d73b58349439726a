import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { credentialOf } from '../../src/auth/credential.ts'
import { ApiError } from '../../src/errors.ts'
import { runs } from '../../src/testing/sizes.ts'

function read(headers: Record<string, string> | [string, string][]) {
  try {
    return credentialOf(new Request('http://corral.test/v1/models?key=crl_query', { headers }))?.token
  } catch (error) {
    if (error instanceof ApiError) return `${error.status} ${error.message}`
    throw error
  }
}

describe('the one extractor', () => {
  test('[AUT-1] takes Authorization: Bearer in any case, x-api-key and x-goog-api-key', () => {
    expect(read({ authorization: 'Bearer abc' })).toBe('abc')
    expect(read({ authorization: 'bearer abc' })).toBe('abc')
    expect(read({ authorization: 'BEARER \t abc' })).toBe('abc')
    expect(read({ 'x-api-key': 'abc' })).toBe('abc')
    expect(read({ 'x-goog-api-key': 'abc' })).toBe('abc')
    expect(read({})).toBeUndefined()
  })

  test('[AUT-2] several that are equal are one, several that differ are a 400', () => {
    expect(read({ authorization: 'Bearer abc', 'x-api-key': 'abc', 'x-goog-api-key': 'abc' })).toBe('abc')
    expect(read({ 'x-api-key': 'abc', 'x-goog-api-key': 'abc' })).toBe('abc')
    for (const headers of [
      { authorization: 'Bearer abc', 'x-api-key': 'abd' },
      { authorization: 'Bearer abc', 'x-goog-api-key': 'abd' },
      { 'x-api-key': 'abc', 'x-goog-api-key': 'abd' },
      { authorization: 'Bearer abc', 'x-api-key': 'abc', 'x-goog-api-key': 'ab' },
    ]) {
      expect(read(headers as unknown as Record<string, string>)).toStartWith(
        '400 The request carries more than one credential (they differ)',
      )
    }
  })

  test('[AUT-3] two Authorization headers are a 400, also where they say the same', () => {
    for (const [one, other] of [
      ['Bearer abc', 'Bearer abd'],
      ['Bearer abc', 'Bearer abc'],
      ['Bearer abc', 'Basic YWJj'],
    ] as const) {
      const said = read([
        ['authorization', one],
        ['authorization', other],
      ])
      expect(said).toStartWith('400 The request carries more than one credential (the Authorization header came twice)')
    }
    const twice = read([
      ['x-api-key', 'abc'],
      ['x-api-key', 'abc'],
    ])
    expect(twice).toStartWith('400 The request carries more than one credential (the x-api-key header came twice)')
  })

  test('[AUT-4] other schemes, no token, white space and signs beyond ASCII are a 401', () => {
    for (const authorization of [
      'Basic YWJj',
      'Bearer',
      'Bearer ',
      'abc',
      'Bearerabc',
      'Bearer a b',
      'Token abc',
      'Bearer gr\u00fc\u00df',
      'Bearer,abc',
      'Bearer abc\u00a0',
      'Bearer \u00a0abc',
    ]) {
      expect(read({ authorization })).toBe('401 Invalid Authorization header format')
    }
    expect(read({ 'x-api-key': 'gr\u00fc\u00df' })).toBe('401 Invalid x-api-key header format')
    expect(read({ 'x-goog-api-key': 'a b' })).toBe('401 Invalid x-goog-api-key header format')
  })

  test('an empty header shows nothing', () => {
    expect(read({ 'x-api-key': '', authorization: '' })).toBeUndefined()
    expect(read({ 'x-api-key': '', authorization: 'Bearer abc' })).toBe('abc')
  })

  test('[AUT-5] a token of a megabyte is refused before anything is done with it', () => {
    expect(read({ authorization: `Bearer ${'a'.repeat(1_000_000)}` })).toBe('401 The credential is too long.')
    expect(read({ 'x-api-key': 'a'.repeat(16_385) })).toBe('401 The credential is too long.')
    expect(read({ authorization: `Bearer ${'a'.repeat(16_384)}` })).toHaveLength(16_384)
  })

  test('[AUT-1] nothing is taken from the URL', () => {
    expect(credentialOf(new Request('http://corral.test/v1/models?key=crl_query&api_key=b&access_token=c'))).toBeUndefined()
  })

  test('whatever the headers hold: a visible token, nothing, or a refusal that repeats none of it', () => {
    const sign = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...'abcXYZ019-._~+/=,;"\\ \t'.split('')) },
      { weight: 1, arbitrary: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)) },
    )
    const text = fc.string({ unit: sign, maxLength: 40 })
    const scheme = fc.constantFrom('Bearer ', 'bearer ', 'bEaReR\t', 'Basic ', '', 'Bearer, ', 'Bearer')
    const value = fc.oneof(
      fc.constant(undefined),
      fc.tuple(scheme, text).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(value, value, value, (authorization, anthropic, google) => {
        const headers = new Headers()
        if (authorization !== undefined) headers.set('authorization', authorization)
        if (anthropic !== undefined) headers.set('x-api-key', anthropic)
        if (google !== undefined) headers.set('x-goog-api-key', google)
        let credential
        try {
          credential = credentialOf({ headers })
        } catch (error) {
          if (!(error instanceof ApiError)) throw error
          expect([400, 401]).toContain(error.status)
          expect(error.denial?.by).toBe('authentication')
          expect(error.headers['www-authenticate']).toStartWith('Bearer realm="corral"')
          for (const shown of [authorization, anthropic, google]) {
            const long = shown?.split(/[\s,]+/).filter((word) => word.length > 6 && !/^(bearer|basic)/i.test(word)) ?? []
            for (const word of long) expect(`${error.message} ${error.denial?.reason}`).not.toContain(word)
          }
          return
        }
        const given = [headers.get('x-api-key'), headers.get('x-goog-api-key')].filter(Boolean)
        if (!credential) return expect([given, headers.get('authorization') || '']).toEqual([[], ''])
        expect(credential.token).toMatch(/^[\x21-\x7e]+$/)
        // Whatever was shown says the same.
        for (const one of given) expect(one).toBe(credential.token)
        if (headers.get('authorization')) expect(headers.get('authorization')).toEndWith(credential.token)
      }),
      { numRuns: runs(3000) },
    )
  })
})
