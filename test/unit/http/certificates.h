/* Certificates made for these tests alone; they guard nothing. The server's name is api.test. */
#ifndef TEST_HTTP_CERTIFICATES_H
#define TEST_HTTP_CERTIFICATES_H

static const char authority_pem[] = "-----BEGIN CERTIFICATE-----\n"
                                    "MIIBmTCCAT+gAwIBAgIUbH7d5/hyJLXII/pHzYjyJqpcaE0wCgYIKoZIzj0EAwIw\n"
                                    "GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIyMDMyNDAxWhgPMjEy\n"
                                    "NjEwMjkwMzI0MDFaMBkxFzAVBgNVBAMMDnRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI\n"
                                    "zj0CAQYIKoZIzj0DAQcDQgAElmsrm+w2N+3vrPuanDTXSDGodyKzAZkxLD+ymy/4\n"
                                    "lFjPI8jR1SOkQFbErRoLJtYnlHq5iBlRsgmgknyWYhktsaNjMGEwHQYDVR0OBBYE\n"
                                    "FNbcib/gXzM3yoBXoA+vHXaM5kjUMB8GA1UdIwQYMBaAFNbcib/gXzM3yoBXoA+v\n"
                                    "HXaM5kjUMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMAoGCCqGSM49\n"
                                    "BAMCA0gAMEUCIEQYbBUsaNvcGysv/hMHDUqqJz8XWOwAImPIceAQCO2FAiEAg6Gq\n"
                                    "v1ER3+dmNUgepF98FshafI4pWtfpgXtjFFZjQrA=\n"
                                    "-----END CERTIFICATE-----\n";

static const char other_authority_pem[] = "-----BEGIN CERTIFICATE-----\n"
                                          "MIIBjzCCATWgAwIBAgIUKKxRKUYlwgC7Io5fUCJJQL+L/fwwCgYIKoZIzj0EAwIw\n"
                                          "HDEaMBgGA1UEAwwRYW5vdGhlciBhdXRob3JpdHkwIBcNMjYxMTIyMDMyNDAyWhgP\n"
                                          "MjEyNjEwMjkwMzI0MDJaMBwxGjAYBgNVBAMMEWFub3RoZXIgYXV0aG9yaXR5MFkw\n"
                                          "EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIkx7EFqL0I2fANL33GO7Z26HAk6OiA1D\n"
                                          "luKMLr39AzTV9izMJTH38jT723T8osqCvUZUFp26He5UuQNcHRYR56NTMFEwHQYD\n"
                                          "VR0OBBYEFFsFcA4Ago5+Y8nzeW93AEPE5kVVMB8GA1UdIwQYMBaAFFsFcA4Ago5+\n"
                                          "Y8nzeW93AEPE5kVVMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIh\n"
                                          "AL0yxBIRJAWyZuD+eD9YepBjMh1BJEdYESdzO6ed58CkAiANEnuvux1CDQRsAuM7\n"
                                          "HDzzORBmU8eOh0+FFdjxkEtUyg==\n"
                                          "-----END CERTIFICATE-----\n";

static const char server_cert_pem[] = "-----BEGIN CERTIFICATE-----\n"
                                      "MIIBmjCCAUCgAwIBAgIUSsWxbj8BFwWqYM4+sSPR7V5oytAwCgYIKoZIzj0EAwIw\n"
                                      "GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIyMDMyNDAyWhgPMjEy\n"
                                      "NjEwMjkwMzI0MDJaMBExDzANBgNVBAMMBnNlcnZlcjBZMBMGByqGSM49AgEGCCqG\n"
                                      "SM49AwEHA0IABDkr1q5PnqsOzZc1uYZE2Hi1ccy+0Z4ES9iXiB1r3xH0YfaGBGwn\n"
                                      "A21eKtude2kEOKdnTE9iLBl4BCTe+/JeARyjbDBqMBMGA1UdEQQMMAqCCGFwaS50\n"
                                      "ZXN0MBMGA1UdJQQMMAoGCCsGAQUFBwMBMB0GA1UdDgQWBBSKGBIS8BhZDupT3lXL\n"
                                      "1nOdCLED0zAfBgNVHSMEGDAWgBTW3Im/4F8zN8qAV6APrx12jOZI1DAKBggqhkjO\n"
                                      "PQQDAgNIADBFAiAtXqa/4Jo/dT+ZpPEEh0A7kK0G5fVepyenwtyG9a1NqAIhANfu\n"
                                      "m2OoCfDzqYjXHNMHCP0seBzn7cVkGwPNyRxqUkW5\n"
                                      "-----END CERTIFICATE-----\n";

static const char server_key_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                     "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXaWSXtijwRO8c3zf\n"
                                     "aM3tsXTv8g6y7mgbRXp1eZUP5auhRANCAAQ5K9auT56rDs2XNbmGRNh4tXHMvtGe\n"
                                     "BEvYl4gda98R9GH2hgRsJwNtXirbnXtpBDinZ0xPYiwZeAQk3vvyXgEc\n"
                                     "-----END PRIVATE KEY-----\n";

static const char client_cert_pem[] = "-----BEGIN CERTIFICATE-----\n"
                                      "MIIBhTCCASugAwIBAgIUSsWxbj8BFwWqYM4+sSPR7V5oytEwCgYIKoZIzj0EAwIw\n"
                                      "GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIyMDMyNDAyWhgPMjEy\n"
                                      "NjEwMjkwMzI0MDJaMBExDzANBgNVBAMMBmNsaWVudDBZMBMGByqGSM49AgEGCCqG\n"
                                      "SM49AwEHA0IABB0JdTNHZDhclsdh47NJT1ETmJMGLE3bNxMT0gz09DbMHS+v0YlI\n"
                                      "R62NMXt4GPADwBnQeOOtxBrrTj3yVm3oXomjVzBVMBMGA1UdJQQMMAoGCCsGAQUF\n"
                                      "BwMCMB0GA1UdDgQWBBRIxi6NGt0alpP+mft/2/x7daAguDAfBgNVHSMEGDAWgBTW\n"
                                      "3Im/4F8zN8qAV6APrx12jOZI1DAKBggqhkjOPQQDAgNIADBFAiAXk0dHV1hklIMI\n"
                                      "93TPhlrGbP30cVFZuFHJ3mwExQfYGgIhAP2Ejs2PEwol/QEVoWTFslxHkTaKffRg\n"
                                      "recMF9Zu1bEA\n"
                                      "-----END CERTIFICATE-----\n";

static const char client_key_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                     "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFQtJJzrOHR4aYQAE\n"
                                     "s9rgkw2KyRJI+emHtulRLvnvcPShRANCAAQdCXUzR2Q4XJbHYeOzSU9RE5iTBixN\n"
                                     "2zcTE9IM9PQ2zB0vr9GJSEetjTF7eBjwA8AZ0HjjrcQa60498lZt6F6J\n"
                                     "-----END PRIVATE KEY-----\n";

/* Of no authority: a server that trusts it knows it by itself. */
static const char renewed_client_cert_pem[] = "-----BEGIN CERTIFICATE-----\n"
                                              "MIIBmzCCAUGgAwIBAgIUfwOOS/EOICdpZ2kwvs9bhQViiRwwCgYIKoZIzj0EAwIw\n"
                                              "GTEXMBUGA1UEAwwOcmVuZXdlZCBjbGllbnQwIBcNMjYxMTIyMDU1OTIwWhgPMjEy\n"
                                              "NjEwMjkwNTU5MjBaMBkxFzAVBgNVBAMMDnJlbmV3ZWQgY2xpZW50MFkwEwYHKoZI\n"
                                              "zj0CAQYIKoZIzj0DAQcDQgAE0p2+kBCPZfjTmTeso8t6+xq6mfwLZzBXz7Zbkchg\n"
                                              "GmrAGb3eq3LeBwJ+PmoV6bcv4NYpAFG7BTxkB9b03U/E9KNlMGMwHQYDVR0OBBYE\n"
                                              "FKHzkqwAbPMxfRv5SERyEHOTx6zcMB8GA1UdIwQYMBaAFKHzkqwAbPMxfRv5SERy\n"
                                              "EHOTx6zcMBMGA1UdJQQMMAoGCCsGAQUFBwMCMAwGA1UdEwEB/wQCMAAwCgYIKoZI\n"
                                              "zj0EAwIDSAAwRQIhAPxCjPMzhvtQ9/fv7So2dp+gXxqdJgK1jPh/DWEH8wkWAiBM\n"
                                              "XBlSYbfnM31tkr4W7xzXc0H8tx16aPxcv7K0VGJySA==\n"
                                              "-----END CERTIFICATE-----\n";

static const char renewed_client_key_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                             "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjU2JuPU0/6jHT2Wi\n"
                                             "+EUnxglvRFy2UsVPTp/gzECZStChRANCAATSnb6QEI9l+NOZN6yjy3r7GrqZ/Atn\n"
                                             "MFfPtluRyGAaasAZvd6rct4HAn4+ahXpty/g1ikAUbsFPGQH1vTdT8T0\n"
                                             "-----END PRIVATE KEY-----\n";

#endif
