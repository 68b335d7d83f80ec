import com.sproutsocial.nsq.BackoffHandler;
import com.sproutsocial.nsq.Config;
import com.sproutsocial.nsq.DirectSubscriber;
import com.sproutsocial.nsq.Message;
import com.sproutsocial.nsq.MessageHandler;
import com.sproutsocial.nsq.Publisher;
import com.sproutsocial.nsq.Subscriber;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

/** What nsq-j can do, through the layers that are named, and a consumer. The commands are described in ../README.md. */
final class Client {
  private static final String TOPIC = "abilities";

  public static void main(String[] args) throws Exception {
    if (args[0].equals("abilities")) {
      abilities(args[1], args[2]);
    } else {
      consume(args[1], args[2], args[3].split(","));
    }
  }

  /** Trusts everybody: what is tested is the transport. */
  private static final class Trusting implements X509TrustManager {
    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type) {}

    @Override
    public X509Certificate[] getAcceptedIssuers() {
      return new X509Certificate[0];
    }
  }

  private static com.sproutsocial.nsq.Client layered(Config config, String layers) throws Exception {
    // The only one that a direct subscriber uses.
    com.sproutsocial.nsq.Client client = com.sproutsocial.nsq.Client.getDefaultClient();
    for (String layer : layers.split("\\+")) {
      switch (layer) {
        case "plain":
          break;
        case "tls":
          SSLContext context = SSLContext.getInstance("TLS");
          context.init(null, new TrustManager[] {new Trusting()}, new SecureRandom());
          client.setSSLSocketFactory(context.getSocketFactory());
          config.setTlsV1(true);
          break;
        case "snappy":
          config.setSnappy(true);
          break;
        case "deflate":
          config.setDeflate(true);
          break;
        case "auth":
          client.setAuthSecret("secret");
          break;
        default:
          throw new IllegalArgumentException("no layer " + layer);
      }
    }
    return client;
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static void abilities(String address, String layers) throws Exception {
    Config config = new Config();
    com.sproutsocial.nsq.Client client = layered(config, layers);
    Publisher publisher = new Publisher(client, address, null);
    publisher.setConfig(config);
    publisher.publish(TOPIC, bytes("publish"));
    List<byte[]> many =
        Arrays.asList(bytes("multi-1"), bytes("multi-2"), bytes("requeue"), bytes("touch"), bytes("backoff"));
    publisher.publish(TOPIC, many);
    long began = System.nanoTime();
    publisher.publishDeferred(TOPIC, bytes("deferred"), 300, TimeUnit.MILLISECONDS);

    CountDownLatch open = new CountDownLatch(7);
    DirectSubscriber subscriber = new DirectSubscriber(1, address);
    subscriber.setConfig(config);
    MessageHandler handler =
        new BackoffHandler(
            message -> {
              String body = new String(message.getData(), StandardCharsets.UTF_8);
              if (body.equals("backoff") && message.getAttempts() == 1) {
                throw new IllegalStateException("refused once, so that the consumer backs off");
              }
              finish(message, body, began, open);
            },
            50,
            50);
    MessageHandler all =
        message -> {
          String body = new String(message.getData(), StandardCharsets.UTF_8);
          if (body.equals("requeue") && message.getAttempts() == 1) {
            message.requeue(0);
          } else {
            handler.accept(message);
          }
        };
    subscriber.subscribe(TOPIC, "channel", 1, all);
    if (!open.await(50, TimeUnit.SECONDS)) {
      System.err.println(open.getCount() + " are missing");
      System.exit(1);
    }
    // The last answers wait to be sent together with others.
    TimeUnit.MILLISECONDS.sleep(400);
    System.exit(0);
  }

  private static void finish(Message message, String body, long began, CountDownLatch open) {
    if (body.equals("touch")) {
      // Longer than the time-out in all, so that only the touches keep it from coming again.
      for (int n = 0; n < 5; n++) {
        sleep(500);
        message.touch();
      }
    }
    if (body.equals("deferred") && System.nanoTime() - began < TimeUnit.MILLISECONDS.toNanos(250)) {
      throw new IllegalStateException("early");
    }
    System.out.println(body + " " + message.getAttempts());
    message.finish();
    open.countDown();
  }

  private static void sleep(long ms) {
    try {
      TimeUnit.MILLISECONDS.sleep(ms);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static void consume(String topic, String channel, String[] lookupds) throws Exception {
    Subscriber subscriber = new Subscriber(1, lookupds);
    subscriber.subscribe(
        topic,
        channel,
        200,
        (MessageHandler)
            message -> {
              System.out.println(new String(message.getData(), StandardCharsets.UTF_8));
              message.finish();
            });
    Thread.currentThread().join();
  }
}
