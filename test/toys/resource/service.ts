import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { ownedRows } from '../../../src/access/owned-rows.ts'
import type { AccessSubject, OwnedRows } from '../../../src/access/owned-table.ts'
import { defineResource, type ResourceDeps } from '../../../src/api/resource.ts'
import type { Call } from '../../../src/call.ts'
import type { UploadedFile } from '../../../src/schemas/uploaded-file.ts'
import { newId } from '../../../src/storage/ids.ts'
import type { NoteRow } from './table.ts'

export const countWords = { kind: 'note.count_words', payload: z.object({ id: z.string() }) }

class NoteService {
  readonly rows: OwnedRows<NoteRow>
  readonly #deps: ResourceDeps

  constructor(deps: ResourceDeps) {
    const { records: database, policy, events } = deps
    this.rows = ownedRows({ database, table: 'notes', type: 'note', kind: 'Note', policy, events })
    this.#deps = deps
  }

  async create(call: AccessSubject, file: UploadedFile, name = file.filename): Promise<NoteRow> {
    const createdAt = Date.now()
    const id = newId('note_', createdAt)
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    await file.moveTo(this.pathOf(id))
    try {
      return await this.rows.insert(
        call,
        { id, created_at: createdAt, name, bytes: file.size, words: null },
        { alsoWrite: (transaction) => this.#deps.jobs.enqueue(countWords, { id }, { transaction }) },
      )
    } catch (error) {
      await rm(this.pathOf(id), { force: true })
      throw error
    }
  }

  async delete(call: AccessSubject, id: string): Promise<void> {
    await this.rows.delete(call, id)
    await rm(this.pathOf(id), { force: true })
  }

  /** May be repeated: it writes the same each time. */
  async countWords(call: Call, id: string): Promise<void> {
    const text = await readFile(this.pathOf(id), 'utf8')
    await this.rows.update(call, id, { words: text.match(/\S+/g)?.length ?? 0 })
  }

  pathOf(id: string): string {
    return join(this.#folder, id)
  }

  get #folder(): string {
    return join(this.#deps.home, 'notes')
  }
}

export const notes = defineResource({ name: 'notes', create: (deps) => new NoteService(deps) })
