import { z } from 'zod'
import { defineRoute } from '../../../src/api/define.ts'
import type { Resources } from '../../../src/api/resource.ts'
import { ByteContent } from '../../../src/http/byte-response.ts'
import { defineJob } from '../../../src/jobs/definition.ts'
import { toListBody } from '../../../src/schemas/lists.ts'
import { deletedNote, newNote, note, noteChange, noteList, notePage } from './schema.ts'
import { countWords, notes } from './service.ts'
import type { NoteRow } from './table.ts'

const common = { api: 'notes', tag: 'Notes' } as const
const all = { ...common, path: '/v1/notes' } as const
const one = { ...common, path: '/v1/notes/{note_id}', params: z.object({ note_id: z.string() }) } as const

function toNote({ id, created_at, name, bytes, words }: NoteRow): z.output<typeof note> {
  return { id, object: 'note', created_at: Math.floor(created_at / 1000), name, bytes, words }
}

const createNote = defineRoute({
  ...all,
  method: 'POST',
  operationId: 'createNote',
  summary: 'Upload a note',
  multipart: { files: 1 },
  maxBodyBytes: 1024 * 1024,
  body: newNote,
  responses: { 200: { description: 'OK', json: note } },
  handle: async ({ body, call }, { resources }) => toNote(await resources.of(notes).create(call, body.file, body.name)),
})

const listNotes = defineRoute({
  ...all,
  method: 'GET',
  operationId: 'listNotes',
  summary: 'List notes',
  query: notePage,
  responses: { 200: { description: 'OK', json: noteList } },
  handle: async ({ query, call }, { resources }) => toListBody(await resources.of(notes).rows.list(call, query), toNote),
})

const retrieveNote = defineRoute({
  ...one,
  method: 'GET',
  operationId: 'retrieveNote',
  summary: 'Retrieve a note',
  responses: { 200: { description: 'OK', json: note } },
  handle: async ({ params, call }, { resources }) => toNote(await resources.of(notes).rows.get(call, params.note_id)),
})

const updateNote = defineRoute({
  ...one,
  method: 'POST',
  operationId: 'updateNote',
  summary: 'Rename a note',
  body: noteChange,
  responses: { 200: { description: 'OK', json: note } },
  handle: async ({ params, body, call }, { resources }) => toNote(await resources.of(notes).rows.update(call, params.note_id, body)),
})

const deleteNote = defineRoute({
  ...one,
  method: 'DELETE',
  operationId: 'deleteNote',
  summary: 'Delete a note',
  responses: { 200: { description: 'OK', json: deletedNote } },
  async handle({ params, call }, { resources }) {
    await resources.of(notes).delete(call, params.note_id)
    return { id: params.note_id, object: 'note', deleted: true }
  },
})

const retrieveContent = defineRoute({
  ...one,
  path: '/v1/notes/{note_id}/content',
  method: 'GET',
  operationId: 'retrieveNoteContent',
  summary: 'Download a note',
  responses: { 200: { description: 'The text.', bytes: 'text/plain' } },
  async handle({ params, call }, { resources }) {
    const service = resources.of(notes)
    const { id, name, bytes, created_at } = await service.rows.get(call, params.note_id)
    return ByteContent.ofFile(service.pathOf(id), { size: bytes, type: 'text/plain', filename: name, etag: id, lastModified: created_at })
  },
})

export const noteRoutes = [createNote, listNotes, retrieveNote, updateNote, deleteNote, retrieveContent]

export const noteJobs = [
  (resources: Resources) => defineJob({ ...countWords, run: ({ id }, { call }) => resources.of(notes).countWords(call, id) }),
]
