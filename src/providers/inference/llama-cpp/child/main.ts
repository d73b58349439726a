import { rmSync } from 'node:fs'
import { listenInside, readOptions } from '../../../child-contract.ts'
import { createHandler, type ModelChildOptions } from './serve.ts'

// The process that holds the models: a crash of native code ends it and nothing else. It ends with its standard input, that is, with its parent.
const options = await readOptions<ModelChildOptions>()
const { fetch } = createHandler(options)
listenInside({ ...(options.socket !== undefined && { socket: options.socket }), fetch })
const { ownFolder } = options
if (ownFolder !== undefined) process.on('exit', () => rmSync(ownFolder, { recursive: true, force: true }))
