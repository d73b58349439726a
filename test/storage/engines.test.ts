import { describe, expect, test } from 'bun:test'
import { engines } from '../../src/testing/engines.ts'

for (const engine of engines) {
  describe(engine.name, () => {
    test('opens', async () => {
      await using database = await engine.open()
      await database.write((t) => t.insertInto('revisions').values({ scope: 'a', value: 9007199254740991 }).execute())
      expect(await database.read.selectFrom('revisions').selectAll().execute()).toEqual([{ scope: 'a', value: 9007199254740991 }])
    })
  })
}
