<?php
// The service provider and the facade with Debian's illuminate packages, against a real broker.
//
//   php laravel.php SOCKET HOST_ID
declare(strict_types=1);

error_reporting(E_ALL & ~E_DEPRECATED);
require '/usr/share/php/Illuminate/Support/autoload.php';
require '/usr/share/php/Illuminate/Http/autoload.php';
require '/usr/share/php/Illuminate/Container/autoload.php';
require '/usr/share/php/GuzzleHttp/autoload.php';
if (is_file('/usr/share/php/Dotenv/autoload.php')) {
    require_once '/usr/share/php/Dotenv/autoload.php';
}
require dirname(__DIR__) . '/autoload.php';

use Coolify\Coold\Client;
use Coolify\Coold\Laravel\CooldServiceProvider;
use Coolify\Coold\Laravel\Facades\Coold;
use Illuminate\Container\Container;
use Illuminate\Http\Client\Factory;
use Illuminate\Support\Facades\Facade;

[, $socket, $hostId] = $argv;

/** What a service provider needs of an application. */
final class App extends Container
{
    public function runningInConsole(): bool
    {
        return false;
    }

    public function configurationIsCached(): bool
    {
        return false;
    }
}

$app = new App();
Container::setInstance($app);
putenv("COOLD_BROKER_SOCKET=$socket");
$_ENV['COOLD_BROKER_SOCKET'] = $_SERVER['COOLD_BROKER_SOCKET'] = $socket;
$app->instance('config', new class () implements ArrayAccess {
    /** @var array<string, mixed> */
    private array $items = [];

    public function get(string $key, mixed $default = null): mixed
    {
        $value = $this->items;
        foreach (explode('.', $key) as $part) {
            $value = $value[$part] ?? null;
        }
        return $value ?? $default;
    }

    public function set(string $key, mixed $value): void
    {
        $this->items[$key] = $value;
    }

    public function offsetExists(mixed $offset): bool
    {
        return $this->get($offset) !== null;
    }

    public function offsetGet(mixed $offset): mixed
    {
        return $this->get($offset);
    }

    public function offsetSet(mixed $offset, mixed $value): void
    {
        $this->set($offset, $value);
    }

    public function offsetUnset(mixed $offset): void
    {
        unset($this->items[$offset]);
    }
});
Facade::setFacadeApplication($app);

$provider = new CooldServiceProvider($app);
$provider->register();
$provider->boot();
$told = [
    'same_client' => $app->make(Client::class) === $app->make(Client::class),
    'hosts' => array_column(Coold::hosts(), 'host_id'),
    'containers' => count(Coold::host($hostId)->containersList()),
];

// Laravel's own client, by curl's option: short calls work. With `stream` Guzzle takes PHP's own streams, which know no Unix
// socket, and asks the name in the URL.
$http = new Factory();
$lane = static fn (array $options = []) => $http->withOptions(['curl' => [CURLOPT_UNIX_SOCKET_PATH => $socket]] + $options);
$told['own_client'] = $lane()->acceptJson()->get('http://broker/v1/health')->json();
$told['own_dispatch'] = $lane()->acceptJson()->post('http://broker/v1/coold/dispatch', [
    'host_id' => $hostId,
    'request_id' => 'laravel-' . bin2hex(random_bytes(8)),
    'command' => ['type' => 'list_containers'],
])->json('status');
try {
    $lane(['stream' => true])->get('http://broker.invalid/v1/health');
    $told['stream_option'] = 'worked';
} catch (Throwable $error) {
    $told['stream_option'] = 'failed';
}

$fake = Coold::fake();
$fake->answer('images.list', []);
$told['fake'] = [Coold::host('any')->imagesList(), count($fake->sent())];
echo json_encode($told, JSON_THROW_ON_ERROR), "\n";
