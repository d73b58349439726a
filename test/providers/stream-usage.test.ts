import { expect, test } from 'bun:test'
import { chatStream } from '../../src/testing/index.ts'
import { operations, operatorKey, remoteCases, stageFor } from './remote-cases.ts'

for (const remoteCase of remoteCases.filter(({ can }) => can.has('chat'))) {
  test(`[ADD-5] ${remoteCase.type}: stream_usage decides`, async () => {
    for (const configured of [true, false]) {
      await using stage = await stageFor(remoteCase, { [remoteCase.keyField]: operatorKey, stream_usage: configured })
      stage.reply = chatStream()
      const { path, body } = operations.chat
      const response = await stage.post(path, { model: `${remoteCase.id}/m`, ...body, stream: true })
      expect(response.status).toBe(200)
      await response.text()
      expect(stage.requests.at(-1)?.json?.['stream_options']).toEqual(configured ? { include_usage: true } : undefined)
    }
  })
}
