import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { parseQuery } from './query.ts'

test('lists and maps are read the ways OpenAI’s clients write them', () => {
  const cases: [string, object][] = [
    ['/v1/x', {}],
    ['/v1/x?', {}],
    ['/v1/x?limit=5&after=a%2Fb', { limit: '5', after: 'a/b' }],
    ['/v1/x?include[]=a&include[]=b', { include: ['a', 'b'] }],
    ['/v1/x?include[]=a', { include: ['a'] }],
    ['/v1/x?include=a&include=b&include=c', { include: ['a', 'b', 'c'] }],
    ['/v1/x?metadata[k]=v&metadata[l]=w', { metadata: { k: 'v', l: 'w' } }],
    ['/v1/x?a=1#?b=2', { a: '1' }],
    ['/v1/x?metadata=1&metadata[k]=v', { metadata: { k: 'v' } }],
  ]
  for (const [url, query] of cases) expect({ ...parseQuery(url) }).toEqual(query as never)
})

test('no query makes it throw, or reach a prototype', () => {
  fc.assert(
    fc.property(fc.string(), (query) => {
      parseQuery(`/x?${query}`)
    }),
  )
  parseQuery('/x?__proto__[polluted]=1&constructor[prototype]=1')
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
})
