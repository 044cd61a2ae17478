<?php
declare(strict_types=1);

namespace Coolify\Coold\Http;

use Coolify\Coold\Exception\Disconnected;
use CurlHandle;

/** The broker's Unix socket, by curl. Connections are kept from one request to the next. */
final class CurlTransport implements Transport
{
    private const NOT_SENT = [CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST];

    private ?CurlHandle $kept = null;

    public function __construct(
        private readonly string $socketPath,
        private readonly float $connectTimeoutSeconds = 5.0,
    ) {
    }

    public function send(string $method, string $path, ?array $json, float $timeoutSeconds): Answer
    {
        $curl = $this->kept ??= curl_init();
        // What the last request set is gone, and its connection stays.
        curl_reset($curl);
        curl_setopt_array($curl, $this->options($method, $path, $json) + [
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT_MS => (int) ceil($timeoutSeconds * 1000),
        ]);
        $body = curl_exec($curl);
        if (!is_string($body)) {
            throw self::failure(curl_errno($curl), curl_error($curl));
        }
        return new Answer((int) curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $body);
    }

    public function open(string $method, string $path, ?array $json): Lines
    {
        return new CurlLines(
            $this->options($method, $path, $json),
            fn (string $path, string $lines): array => [
                CURLOPT_POSTFIELDS => $lines,
                CURLOPT_HTTPHEADER => ['Content-Type: application/x-ndjson', 'Expect:'],
            ] + $this->options('POST', $path, null),
        );
    }

    /**
     * @param array<string, mixed>|null $json
     * @return array<int, mixed>
     */
    private function options(string $method, string $path, ?array $json): array
    {
        $options = [
            CURLOPT_URL => 'http://broker' . $path,
            CURLOPT_UNIX_SOCKET_PATH => $this->socketPath,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_CONNECTTIMEOUT_MS => (int) ceil($this->connectTimeoutSeconds * 1000),
            // A signal would end workers that wait.
            CURLOPT_NOSIGNAL => true,
            // No proxy stands between a process and a socket.
            CURLOPT_PROXY => '',
            CURLOPT_HTTPHEADER => ['Accept: application/json'],
        ];
        if ($json !== null) {
            $options[CURLOPT_POSTFIELDS] = json_encode($json, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION);
            // Without `Expect: 100-continue`, which costs a round trip for large bodies.
            $options[CURLOPT_HTTPHEADER] = ['Accept: application/json', 'Content-Type: application/json', 'Expect:'];
        }
        return $options;
    }

    public static function failure(int $number, string $words): Disconnected
    {
        $why = $words === '' ? curl_strerror($number) ?? "curl error $number" : $words;
        return new Disconnected("broker: $why", in_array($number, self::NOT_SENT, true));
    }
}
