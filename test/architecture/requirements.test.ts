import { expect, test } from 'bun:test'
import { requirements } from '../requirements.ts'
import { sources } from './source.ts'

/** A test's title that names requirements, with the function it is given to. */
const titled = /\b(test(?:\.\w+)*)(?:\([^)]*\))?\(\s*['"`]((?:\[[A-Z]{3}-\d+\] ?)+)/g

const claims = [...sources('src'), ...sources('test')]
  // Tests that several files run stand in `…-tests.ts`.
  .filter(({ path }) => /[.-]tests?\.ts$/.test(path))
  .flatMap(({ path, text }) =>
    [...text.matchAll(titled)].flatMap((match) =>
      [...(match[2] ?? '').matchAll(/\[([A-Z]{3}-\d+)\]/g)].map(([, id = '']) => ({ id, path, failing: match[1] === 'test.failing' })),
    ),
  )

test('every requirement has a test, and every id in a title is a requirement', () => {
  const claimed = new Set(claims.map(({ id }) => id))
  expect(Object.keys(requirements).filter((id) => !claimed.has(id))).toEqual([])
  expect([...claimed].filter((id) => !(id in requirements))).toEqual([])
})

test('what is known to fail is marked as failing, and nothing else is', () => {
  const wrong = claims.filter(({ id, failing }) => failing !== Boolean(requirements[id]?.knownFailure))
  expect(wrong).toEqual([])
})
