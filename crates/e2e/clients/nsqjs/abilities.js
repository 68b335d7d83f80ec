// What nsqjs can do, through the layers that are named. The command is described in ../README.md.
'use strict'

const { createRequire } = require('node:module')
const path = require('node:path')

// The library is installed apart from this file: NSQJS names the folder that has node_modules.
const nsq = createRequire(path.join(process.env.NSQJS || __dirname, 'package.json'))('nsqjs')

const TOPIC = 'abilities'
const ALL = 7

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Options of a connection through these layers. */
function layered (layers) {
  const known = {
    plain: {},
    tls: { tls: true, tlsVerification: false },
    snappy: { snappy: true },
    deflate: { deflate: true },
    auth: { authSecret: 'secret' }
  }
  return Object.assign({}, ...layers.split('+').map((layer) => known[layer]))
}

function answered (call) {
  return new Promise((resolve, reject) => call((err) => err ? reject(err) : resolve()))
}

async function publish (host, port, options) {
  const writer = new nsq.Writer(host, Number(port), options)
  await new Promise((resolve, reject) => {
    writer.on('ready', resolve)
    writer.on('error', reject)
    writer.connect()
  })
  await answered((done) => writer.publish(TOPIC, 'publish', done))
  await answered((done) => writer.publish(TOPIC, ['multi-1', 'multi-2', 'requeue', 'touch', 'backoff'], done))
  await answered((done) => writer.deferPublish(TOPIC, ['deferred'], 300, done))
  writer.close()
  return Date.now()
}

async function main (address, layers) {
  const options = layered(layers)
  const [host, port] = address.split(':')
  const began = await publish(host, port, options)
  let finished = 0
  const reader = new nsq.Reader(TOPIC, 'channel', {
    nsqdTCPAddresses: [address],
    maxInFlight: 1,
    maxBackoffDuration: 1,
    maxAttempts: 10,
    ...options
  })
  reader.on('error', (err) => console.error(err.message))
  reader.on('message', async (message) => {
    const body = message.body.toString()
    if (body === 'requeue' && message.attempts === 1) return message.requeue(0, false)
    if (body === 'backoff' && message.attempts === 1) return message.requeue(0, true)
    if (body === 'touch') {
      // Longer than the time-out in all, so that only the touches keep it from coming again.
      for (let n = 0; n < 5; n++) {
        await pause(500)
        message.touch()
      }
    }
    if (body === 'deferred' && Date.now() - began < 250) throw new Error('early')
    console.log(body, message.attempts)
    message.finish()
    if (++finished === ALL) {
      // The last answer is on its way.
      setTimeout(() => process.exit(0), 300)
    }
  })
  reader.connect()
}

main(process.argv[2], process.argv[3]).catch((err) => { console.error(err); process.exit(1) })
