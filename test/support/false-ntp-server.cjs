// An NTP server whose time is as many seconds off as its argument says, on port 123 of the address of the second (RFC 5905).
const { createSocket } = require('node:dgram');

const [shiftS = '0', address = '127.0.0.1'] = process.argv.slice(2);
const EPOCH_S = 2_208_988_800; // Of NTP, 1900, before that of Unix.

function now() {
  const ms = Date.now() + Number(shiftS) * 1000;
  const timestamp = Buffer.alloc(8);
  timestamp.writeUInt32BE((Math.floor(ms / 1000) + EPOCH_S) % 2 ** 32, 0);
  timestamp.writeUInt32BE(Math.floor(((ms % 1000) / 1000) * 2 ** 32), 4);
  return timestamp;
}

const socket = createSocket('udp4');
socket.on('message', (request, from) => {
  const answer = Buffer.alloc(48);
  // No leap second, version 4, server; stratum 2; a poll of 64 s; a precision of 1 µs.
  answer.set([0x24, 2, 6, 0xec]);
  answer.set([127, 0, 0, 1], 12);
  now().copy(answer, 16);
  request.copy(answer, 24, 40, 48);
  now().copy(answer, 32);
  now().copy(answer, 40);
  socket.send(answer, from.port, from.address);
});
socket.bind(123, address, () => console.log('ready'));
